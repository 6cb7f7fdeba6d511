import { z } from 'zod';
import { compressions } from '../../infra/index.ts';
import type { Compression } from '../../infra/index.ts';
import { durationSchema } from '../../operators/units.ts';
import type { Duration } from '../../operators/units.ts';
import { secretSchema, urlSchema } from './secrets.ts';
import type { SecretSpec } from './secrets.ts';

/** A cluster, and how it is spoken to. */
export interface KafkaSpec extends KafkaTraffic {
  /** Some of the brokers, as `host:port`; those of the command line, when absent. */
  readonly brokers?: readonly string[] | undefined;
  /** Jobs of one group share the topics that they train on. */
  readonly group?: string | undefined;
  /** How long a job of a group may be without a sign of life before others go on with its partitions. */
  readonly sessionTimeout?: Duration | undefined;
  /** How long a running job waits for brokers that do not answer. */
  readonly patience: Duration;
}

/** What the environment may say too. */
export interface KafkaTraffic {
  /** Of what is produced, where its topic says nothing. */
  readonly compression?: Compression | undefined;
  readonly tls?: TlsSpec | undefined;
  readonly sasl?: SaslSpec | undefined;
}

/** `true` trusts the authorities that the system trusts. */
export type TlsSpec =
  | boolean
  | {
      /** File with the certificates of the authorities that are trusted instead, in PEM. */
      readonly ca?: string | undefined;
      /** File with our own certificate, and where its key is, for brokers that want to see one. */
      readonly cert?: string | undefined;
      readonly key?: SecretSpec | undefined;
      readonly passphrase?: SecretSpec | undefined;
      /** Name that the brokers' certificates are for, where it is not their address. */
      readonly serverName?: string | undefined;
    };

export type SaslSpec =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: SecretSpec;
    }
  | {
      readonly mechanism: 'oauthbearer';
      /** Endpoint that gives tokens for client credentials (RFC 6749, section 4.4). */
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly clientSecret: SecretSpec;
      readonly scope?: string | undefined;
    };

/** Longer than a broker takes to be replaced. */
export const DEFAULT_PATIENCE: Duration = '5m';

const traffic = {
  compression: z.enum(compressions).optional(),
  tls: z
    .union(
      [
        z.boolean(),
        z.strictObject({
          ca: z.string().min(1).optional(),
          cert: z.string().min(1).optional(),
          key: secretSchema.optional(),
          passphrase: secretSchema.optional(),
          serverName: z.string().min(1).optional(),
        }),
      ],
      {
        error:
          'must be true, or { ca, cert, key, passphrase, serverName }. Key and passphrase are secrets, which do not belong in ' +
          'a graph: say where they are, { env: NAME_OF_VARIABLE } or { file: path }.',
      },
    )
    .optional(),
  sasl: z
    .discriminatedUnion('mechanism', [
      z.strictObject({
        mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
        username: z.string().min(1),
        password: secretSchema,
      }),
      z.strictObject({
        mechanism: z.literal('oauthbearer'),
        tokenUrl: urlSchema,
        clientId: z.string().min(1),
        clientSecret: secretSchema,
        scope: z.string().min(1).optional(),
      }),
    ])
    .optional(),
};

export const kafkaTrafficSchema: z.ZodType<KafkaTraffic> = z.strictObject(traffic);

export const kafkaSchema: z.ZodType<KafkaSpec> = z.strictObject({
  brokers: z.array(z.string().refine(isBroker, 'must be host:port')).min(1).optional(),
  group: z.string().min(1).max(249).optional(),
  sessionTimeout: durationSchema.optional(),
  patience: durationSchema.default(DEFAULT_PATIENCE),
  ...traffic,
});

export function isBroker(text: string): boolean {
  return /^(?:[\w.-]+|\[[\da-fA-F:]+\]):\d{1,5}$/.test(text);
}
