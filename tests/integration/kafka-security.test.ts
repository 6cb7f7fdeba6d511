import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startBroker } from '../../infra/kafka/broker/broker.mjs';
import type { Broker } from '../../infra/kafka/broker/broker.mjs';
import { openKafkaLog } from '../../infra/index.ts';
import type { KafkaSecurity } from '../../infra/index.ts';
import type { TopicLog } from '../../operators/index.ts';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import type { Certificate } from '../support/certificates.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace } from '../support/millrace.ts';
import { readTopic } from '../support/read-topic.ts';
import { TokenServer } from '../support/token-server.ts';

const SECRET = 'c0rrect-h0rse';
const GRAPH = jobGraph({ name: 'secured', checkpointEvery: '1s' });

let folder: string;
let authority: Certificate;
let ca: string;
let broker: Broker;
const tokens = new TokenServer(SECRET);
let tokenUrl: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-security-'));
  authority = await makeAuthority(folder, 'authority');
  const { both } = await makeCertificate(folder, 'localhost', authority);
  ca = await readFile(authority.certificate, 'utf8');
  broker = await startBroker({ secure: { certificate: both, users: { millrace: SECRET } } });
  tokenUrl = await tokens.listen();
});
afterAll(async () => {
  await broker.stop();
  await tokens.close();
  await rm(folder, { recursive: true, force: true });
});

function open(security: KafkaSecurity, brokers = broker.secureBrokers): Promise<TopicLog> {
  return openKafkaLog({ brokers: [brokers], security, patienceMs: 3000 });
}

function sasl(mechanism: string, password = SECRET): NonNullable<KafkaSecurity['sasl']> {
  switch (mechanism) {
    case 'plain':
    case 'scram-sha-256':
    case 'scram-sha-512':
      return { mechanism, username: 'millrace', password };
    default:
      return { mechanism: 'oauthbearer', tokenUrl, clientId: 'millrace', clientSecret: password };
  }
}

describe.each(['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'])('%s over TLS', (mechanism) => {
  it('lets us in: topics, transactions, groups', async () => {
    const log = await open({ tls: { ca }, sasl: sasl(mechanism) });
    await log.createTopic(mechanism, { partitions: 2 });
    await log.produce(mechanism, [
      { value: 'a', partition: 0 },
      { value: 'b', partition: 1 },
    ]);
    expect((await readTopic(log, mechanism)).map(({ value }) => String(value))).toEqual(['a', 'b']);
    await log.commit(mechanism, [{ topic: mechanism, partition: 0, offset: 1 }]);
    expect(await log.committed(mechanism, mechanism)).toMatchObject([{ partition: 0, offset: 1 }]);
    await log.close();
  });

  it('refuses another secret soon, and says so without showing it', async () => {
    const error: unknown = await open({ tls: { ca }, sasl: sasl(mechanism, 'a-wrong-secret') }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'broker-refused' });
    expect(String(error)).toMatch(/credentials|clientSecret/);
    expect(inspect(error, { depth: 9 })).not.toContain('a-wrong-secret');
  });
});

it('tokens are renewed while connections stand', async () => {
  tokens.lifeSeconds = 12;
  const before = tokens.given.length;
  const log = await open({ tls: { ca }, sasl: sasl('oauthbearer') });
  await log.createTopic('renewed');
  for (let second = 0; second < 9; second += 1) {
    await log.produce('renewed', [{ value: String(second) }]);
    await sleep(1000);
  }
  expect(await readTopic(log, 'renewed')).toHaveLength(9);
  await log.close();
  tokens.lifeSeconds = 3600;
  expect(tokens.given.length - before).toBeGreaterThan(1);
});

it('an endpoint for tokens that is away for a moment is waited for', async () => {
  tokens.faults = 2;
  const log = await open({ tls: { ca }, sasl: sasl('oauthbearer') });
  expect(tokens.faults).toBe(0);
  await log.close();
});

describe('TLS', () => {
  it('trusts only the authority that it is told, and the name that it is told', async () => {
    const other = await makeAuthority(folder, 'other');
    const untrusted = [{}, { ca: await readFile(other.certificate, 'utf8') }];
    for (const tls of untrusted) {
      await expect(open({ tls, sasl: sasl('plain') })).rejects.toMatchObject({
        code: 'broker-refused',
        message: expect.stringMatching(/No TLS with Kafka.*certificate.*\(ca\)/),
      });
    }
    const byAddress = broker.secureBrokers.replace('localhost', '127.0.0.1');
    await expect(open({ tls: { ca }, sasl: sasl('plain') }, byAddress)).rejects.toMatchObject({
      code: 'broker-refused',
      message: expect.stringContaining('serverName'),
    });
    const log = await open({ tls: { ca, serverName: 'localhost' }, sasl: sasl('plain') }, byAddress);
    await log.close();
  });

  it('says what is wrong where one side does not speak it, or says not who it is', async () => {
    const tls = { ca };
    for (const [security, brokers] of [
      [{ tls }, broker.brokers],
      [{}, broker.secureBrokers],
      [{ tls }, broker.secureBrokers],
    ] as const) {
      await expect(open(security, brokers)).rejects.toMatchObject({
        code: 'broker-unreachable',
        message: expect.stringContaining('kafka.tls'),
      });
    }
  });

  it('shows a certificate to brokers that want one', async () => {
    const client = await makeCertificate(folder, 'client', authority);
    const { both } = await makeCertificate(folder, 'localhost', authority);
    const mutual = await startBroker({ secure: { certificate: both, clientAuthority: authority.certificate } });
    try {
      const [cert, key] = await Promise.all([client.certificate, client.key].map((file) => readFile(file, 'utf8')));
      const log = await open({ tls: { ca, cert: cert ?? '', key: key ?? '' } }, mutual.secureBrokers);
      await log.createTopic('shown');
      await log.close();
      await expect(open({ tls: { ca } }, mutual.secureBrokers)).rejects.toMatchObject({ code: 'broker-refused' });
    } finally {
      await mutual.stop();
    }
  });
});

describe('millrace', () => {
  it('is let in by what the environment says, and ends with 1 when it is not', async () => {
    const produced = await new Millrace(['produce', 'by-env', '-'], { input: 'one\n', env: env(SECRET) }).finished;
    expect(produced.code, produced.stderr).toBe(0);
    const tail = await new Millrace(['tail', 'by-env', '--until-end'], { env: env(SECRET) }).finished;
    expect(tail.stdout).toBe('one');
    const refused = await new Millrace(['tail', 'by-env', '--until-end'], { env: env('a-wrong-secret') }).finished;
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/does not take our credentials.*\[broker-refused\]/),
    });
    expect(refused.stderr + refused.stdout).not.toContain('a-wrong-secret');
  });

  it('runs a graph that says where its secrets are, and writes them nowhere', async () => {
    const graph = join(folder, 'graph.yaml');
    const dataDir = join(folder, 'data');
    const account = 'sasl: { mechanism: scram-sha-256, username: millrace, password: { env: KAFKA_PASSWORD } }';
    const kafka = `kafka: { brokers: ["${broker.secureBrokers}"], tls: { ca: ${authority.certificate} }, ${account} }`;
    await writeFile(graph, `${GRAPH}${kafka}\n`);
    const text = Array.from({ length: 20 }, (_, at) => `the mill ${at} turns. `.repeat(10)).join('\n');
    const withPassword = { KAFKA_PASSWORD: SECRET };
    const options = { input: text, env: withPassword };
    expect(await new Millrace(['produce', 'text', '-', '--graph', graph], options).finished).toMatchObject({ code: 0 });
    const up = ['up', graph, '--data-dir', dataDir, '--json', '--until-idle', '3s'];
    const run = await new Millrace(up, { env: withPassword }).finished;
    expect(run.code, run.stderr).toBe(0);
    expect(run.stdout).toContain('"event":"step"');
    const [last = ''] = run.stdout
      .split('\n')
      .filter((line) => line.includes('"checkpoint"'))
      .slice(-1);
    const { checkpoint } = z.object({ checkpoint: z.string() }).parse(JSON.parse(last));
    const inspected = await new Millrace(['checkpoints', 'inspect', checkpoint, '--data-dir', dataDir, '--json'])
      .finished;
    expect(inspected.code, inspected.stderr).toBe(0);
    const without = await new Millrace(up).finished;
    expect(without).toMatchObject({ code: 1, stderr: expect.stringContaining('variable KAFKA_PASSWORD') });
    const shown = [run, inspected, without].map(({ stdout, stderr }) => stdout + stderr).join('');
    expect(shown + (await allText(dataDir))).not.toContain(SECRET);
  });
});

function env(password: string): NodeJS.ProcessEnv {
  return {
    MILLRACE_KAFKA_BROKERS: broker.secureBrokers,
    MILLRACE_KAFKA_TLS_CA: authority.certificate,
    MILLRACE_KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
    MILLRACE_KAFKA_SASL_USERNAME: 'millrace',
    MILLRACE_KAFKA_SASL_PASSWORD: password,
  };
}

/** Every file of a folder, as far as it is text. */
async function allText(path: string): Promise<string> {
  const files = (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const texts = files.map(({ parentPath, name }) => readFile(join(parentPath, name), 'latin1'));
  return (await Promise.all(texts)).join('\n');
}
