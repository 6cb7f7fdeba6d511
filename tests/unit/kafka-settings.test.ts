import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { lintGraph } from '../../pipelines/index.ts';
import { kafkaSettings } from '../../pipelines/job/kafka-settings.ts';

const SECRET = 'c0rrect-h0rse';
const folder = mkdtempSync(join(tmpdir(), 'millrace-settings-'));
const [ca, secretFile] = ['ca.pem', 'secret'].map((name) => join(folder, name));
writeFileSync(ca ?? '', 'a certificate');
writeFileSync(secretFile ?? '', `${SECRET}\n`);
afterAll(() => rmSync(folder, { recursive: true }));

function graph(kafka: string): string {
  return `name: test
topics: { text: {} }
kafka: ${kafka}
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
`;
}

describe('Kafka in a graph', () => {
  it('may say how it is spoken to', () => {
    const kafka = `{ brokers: ["b:1"], compression: lz4, tls: { ca: ${ca}, serverName: b }, sasl: { mechanism: plain, username: me, password: { file: ${secretFile} } } }`;
    const { graph: parsed, findings } = lintGraph(graph(kafka));
    expect(findings).toEqual([]);
    expect(kafkaSettings(parsed?.kafka ?? {}, {})).toEqual({
      compression: 'lz4',
      security: {
        tls: { ca: 'a certificate', serverName: 'b' },
        sasl: { mechanism: 'plain', username: 'me', password: SECRET },
      },
    });
    expect(JSON.stringify(parsed)).not.toContain(SECRET);
  });

  it.each([
    [`sasl: { mechanism: plain, username: me, password: ${SECRET} }`, 'does not belong in a graph'],
    [`sasl: { mechanism: scram-sha-512, username: me, password: { text: ${SECRET} } }`, 'does not belong in a graph'],
    [`tls: { cert: c.pem, key: ${SECRET} }`, 'which do not belong in a graph'],
    [
      `sasl: { mechanism: oauthbearer, tokenUrl: "https://me:${SECRET}@t", clientId: me, clientSecret: { env: S } }`,
      'does not belong in a URL',
    ],
    ['sasl: { mechanism: gssapi }', 'nvalid'],
    ['compression: brotli', 'gzip'],
  ])('is refused where it is wrong, without showing a secret: %s', (setting, says) => {
    const { findings } = lintGraph(graph(`{ brokers: ["b:1"], ${setting} }`));
    expect(findings.map(({ message }) => message).join('\n')).toContain(says);
    expect(JSON.stringify(findings)).not.toContain(SECRET);
  });
});

describe('Kafka in the environment', () => {
  it('goes before the graph', () => {
    const spec = {
      compression: 'gzip',
      tls: { ca: 'elsewhere.pem' },
      sasl: { mechanism: 'plain', username: 'other', password: { env: 'OTHER' } },
    } as const;
    const env = {
      MILLRACE_KAFKA_COMPRESSION: 'zstd',
      MILLRACE_KAFKA_TLS: 'true',
      MILLRACE_KAFKA_SASL_MECHANISM: 'SCRAM-SHA-256',
      MILLRACE_KAFKA_SASL_USERNAME: 'me',
      MILLRACE_KAFKA_SASL_PASSWORD_FILE: secretFile,
    };
    expect(kafkaSettings(spec, env)).toEqual({
      compression: 'zstd',
      security: { tls: {}, sasl: { mechanism: 'scram-sha-256', username: 'me', password: SECRET } },
    });
    expect(kafkaSettings({ tls: true }, { MILLRACE_KAFKA_TLS: 'false' })).toEqual({ security: {} });
    expect(kafkaSettings({}, {})).toEqual({ security: {} });
  });

  it('has files for certificates, and all that tokens need', () => {
    const env = {
      MILLRACE_KAFKA_TLS_CA: ca,
      MILLRACE_KAFKA_TLS_CERT: ca,
      MILLRACE_KAFKA_TLS_KEY: secretFile,
      MILLRACE_KAFKA_SASL_MECHANISM: 'oauthbearer',
      MILLRACE_KAFKA_OAUTH_TOKEN_URL: 'https://t/token',
      MILLRACE_KAFKA_OAUTH_CLIENT_ID: 'me',
      MILLRACE_KAFKA_OAUTH_CLIENT_SECRET: SECRET,
      MILLRACE_KAFKA_OAUTH_SCOPE: 'kafka',
    };
    expect(kafkaSettings({}, env).security).toEqual({
      tls: { ca: 'a certificate', cert: 'a certificate', key: SECRET },
      sasl: {
        mechanism: 'oauthbearer',
        tokenUrl: 'https://t/token',
        clientId: 'me',
        clientSecret: SECRET,
        scope: 'kafka',
      },
    });
  });

  it.each([
    [{ MILLRACE_KAFKA_SASL_MECHANISM: 'plain', MILLRACE_KAFKA_SASL_PASSWORD: SECRET }, 'sasl.username'],
    [{ MILLRACE_KAFKA_SASL_MECHANISM: 'kerberos' }, 'sasl.mechanism'],
    [{ MILLRACE_KAFKA_TLS: 'maybe' }, 'tls: must be true'],
    [{ MILLRACE_KAFKA_COMPRESSION: 'brotli' }, 'compression'],
    [
      { MILLRACE_KAFKA_TLS_CA: join(folder, 'none.pem') },
      "none.pem, which is to be a certificate for Kafka, can't be read",
    ],
    [{ MILLRACE_KAFKA_TLS_CERT: ca }, 'needs its key'],
  ])('must be whole (case %#)', (env, says) => {
    expect(() => kafkaSettings({}, env)).toThrow(expect.objectContaining({ code: 'config-invalid' }));
    expect(() => kafkaSettings({}, env)).toThrow(says);
    expect(() => kafkaSettings({}, env)).not.toThrow(SECRET);
  });
});
