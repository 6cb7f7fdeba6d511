import { readFileSync } from 'node:fs';
import type { Compression, KafkaSecurity } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import { kafkaTrafficSchema } from '../spec/kafka.ts';
import type { KafkaTraffic, SaslSpec, TlsSpec } from '../spec/kafka.ts';
import { requireSecret } from './secrets.ts';
import type { Environment } from './secrets.ts';

/**
 * How brokers are spoken to: as the environment says (`MILLRACE_KAFKA_…`), else as the graph does; of TLS and of SASL each,
 * one of the two says all. Throws `config-invalid`, which names variables and files, and never a secret.
 */
export function kafkaSettings(spec: KafkaTraffic, env: Environment): KafkaSettings {
  const { compression = spec.compression, tls = spec.tls, sasl = spec.sasl } = fromEnvironment(env);
  const security: KafkaSecurity = {
    ...(tls === undefined || tls === false ? {} : { tls: tlsOf(tls, env) }),
    ...(sasl ? { sasl: saslOf(sasl, env) } : {}),
  };
  return { compression, security };
}

export interface KafkaSettings {
  readonly compression?: Compression | undefined;
  readonly security: KafkaSecurity;
}

const PREFIX = 'MILLRACE_KAFKA_';

function fromEnvironment(env: Environment): KafkaTraffic {
  const text = (name: string): string | undefined => env[`${PREFIX}${name}`] || undefined;
  const secret = (name: string): object | undefined => {
    const file = text(`${name}_FILE`);
    if (text(name) !== undefined) return { env: `${PREFIX}${name}` };
    return file === undefined ? undefined : { file };
  };
  const files = defined({ ca: text('TLS_CA'), cert: text('TLS_CERT'), serverName: text('TLS_SERVER_NAME') });
  const key = text('TLS_KEY');
  const tls = { ...files, ...defined({ key: key && { file: key }, passphrase: secret('TLS_PASSPHRASE') }) };
  const mechanism = text('SASL_MECHANISM')?.toLowerCase();
  const account =
    mechanism === 'oauthbearer'
      ? {
          tokenUrl: text('OAUTH_TOKEN_URL'),
          clientId: text('OAUTH_CLIENT_ID'),
          clientSecret: secret('OAUTH_CLIENT_SECRET'),
          scope: text('OAUTH_SCOPE'),
        }
      : { username: text('SASL_USERNAME'), password: secret('SASL_PASSWORD') };
  const parsed = kafkaTrafficSchema.safeParse({
    compression: text('COMPRESSION'),
    tls: Object.keys(tls).length > 0 ? tls : switchOf(text('TLS')),
    sasl: mechanism === undefined ? undefined : { mechanism, ...defined(account) },
  });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new MillraceError(
    'config-invalid',
    `What the variables ${PREFIX}… say of Kafka is not whole: ${problems.join('; ')}. README names all of them.`,
  );
}

function switchOf(text: string | undefined): unknown {
  return text === undefined ? undefined : ({ true: true, false: false }[text] ?? text);
}

function defined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function tlsOf(spec: Exclude<TlsSpec, false>, env: Environment): NonNullable<KafkaSecurity['tls']> {
  if (spec === true) return {};
  const { ca, cert, key, passphrase, serverName } = spec;
  if ((cert === undefined) !== (key === undefined)) {
    throw new MillraceError(
      'config-invalid',
      'A certificate for Kafka needs its key, and a key its certificate (kafka.tls).',
    );
  }
  return {
    ...(ca === undefined ? {} : { ca: pemFrom(ca) }),
    ...(cert === undefined ? {} : { cert: pemFrom(cert) }),
    ...(key === undefined ? {} : { key: requireSecret(key, env) }),
    ...(passphrase === undefined ? {} : { passphrase: requireSecret(passphrase, env) }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

function pemFrom(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MillraceError(
      'config-invalid',
      `The file ${path}, which is to be a certificate for Kafka, can't be read.`,
      {
        cause,
      },
    );
  }
}

function saslOf(spec: SaslSpec, env: Environment): NonNullable<KafkaSecurity['sasl']> {
  if (spec.mechanism !== 'oauthbearer') {
    const { mechanism, username, password } = spec;
    return { mechanism, username, password: requireSecret(password, env) };
  }
  const { mechanism, tokenUrl, clientId, clientSecret, scope } = spec;
  return {
    mechanism,
    tokenUrl,
    clientId,
    clientSecret: requireSecret(clientSecret, env),
    ...(scope === undefined ? {} : { scope }),
  };
}
