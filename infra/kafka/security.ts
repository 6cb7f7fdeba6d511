import type { ConnectionOptions } from 'node:tls';
import type { SASLOptions } from 'kafkajs';
import { TokenSource } from './token-source.ts';
import type { ClientCredentials } from './token-source.ts';

/** How connections to brokers are kept from others, and how we say who we are. */
export interface KafkaSecurity {
  /** Certificates are always verified: by the system's authorities unless others are named. */
  readonly tls?: {
    /** In PEM, as all here. */
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly passphrase?: string;
    /** Name that the certificates are for, where it is not the brokers' address. */
    readonly serverName?: string;
  };
  readonly sasl?:
    | {
        readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
        readonly username: string;
        readonly password: string;
      }
    | ({ readonly mechanism: 'oauthbearer' } & ClientCredentials);
}

/** As kafkajs wants it. Tokens are shared by all connections that are made with it. */
export interface SecurityOptions {
  readonly ssl?: ConnectionOptions;
  readonly sasl?: SASLOptions;
}

export function securityOptions({ tls, sasl }: KafkaSecurity): SecurityOptions {
  return { ...(tls ? { ssl: sslOf(tls) } : {}), ...(sasl ? { sasl: saslOf(sasl) } : {}) };
}

function sslOf({ serverName, ...pem }: NonNullable<KafkaSecurity['tls']>): ConnectionOptions {
  return { ...pem, ...(serverName === undefined ? {} : { servername: serverName }) };
}

function saslOf(sasl: NonNullable<KafkaSecurity['sasl']>): SASLOptions {
  if (sasl.mechanism !== 'oauthbearer') {
    const { mechanism, username, password } = sasl;
    switch (mechanism) {
      case 'plain':
        return { mechanism, username, password };
      case 'scram-sha-256':
        return { mechanism, username, password };
      case 'scram-sha-512':
        return { mechanism, username, password };
    }
  }
  const tokens = new TokenSource(sasl);
  return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await tokens.token() }) };
}
