import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kafkaClassPath } from '../../infra/kafka/broker/broker.mjs';
import { openKafkaLog } from '../../infra/index.ts';
import type { Coordinates, LogRecord, TopicLog } from '../../operators/index.ts';
import { currentJob, dataFolder } from '../../pipelines/job/job-folder.ts';
import { childOf } from '../support/child-of.ts';
import { eventsOf } from '../support/events.ts';
import { jobGraph } from '../support/job-graph.ts';
import { emptyBroker } from '../support/kafka-broker.ts';
import type { TestBroker } from '../support/kafka-broker.ts';
import { consoleConsume, consoleProduce } from '../support/kafka-tools.ts';
import type { KafkaTool } from '../support/kafka-tools.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import { readTopic } from '../support/read-topic.ts';
import { namesOf, readTrained } from '../support/trained.ts';

const PARTITIONS = 2;
const DOCUMENTS = 240;
const CALLS = 6;
const GRAPH = jobGraph({ name: 'on-kafka', partitions: PARTITIONS, checkpointEvery: '1s' });

let broker: TestBroker;
let log: TopicLog;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-on-kafka-'));
  broker = await emptyBroker();
  await writeFile(join(folder, 'graph.yaml'), GRAPH);
  await writeFile(join(folder, 'named.yaml'), `${GRAPH}kafka: { brokers: ["${broker.brokers}"] }\n`);
  log = await openKafkaLog({ brokers: [broker.brokers] });
});
afterAll(async () => {
  await log.close();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('a graph on Kafka', () => {
  it('trains every record once, though it is killed on its way', async () => {
    await log.createTopic('text', { partitions: PARTITIONS });
    const produced: Coordinates[] = [];
    for (let call = 0; call < CALLS; call += 1) produced.push(...(await log.produce('text', documents(call))));
    const [dead] = await log.produce('text', [{ value: Buffer.from([0xc3, 0x28]) }]);
    for (let kill = 0; kill < 3; kill += 1) {
      const run = up();
      await run.line((line) => line.includes('"event":"step"'));
      await sleep(kill * 400);
      run.kill('SIGKILL');
      await run.finished;
    }
    const { code, stderr } = await up('--until-idle', '3s').finished;
    expect(code, stderr).toBe(0);

    const { records } = await readTrained(log, join(folder, 'data'));
    expect(records).toEqual(namesOf(produced));
    const letters = await readTopic(log, 'deadletters');
    expect(
      new Set(letters.map(({ headers }) => `${headers['partition']}/${headers['offset']} ${headers['code']}`)),
    ).toEqual(new Set([`${dead?.partition}/${dead?.offset} record-not-utf8`]));
    await expectCommitted(await readTopic(log, 'text'));
  });

  it('answers prompts, also those that come while the sampler is still on its way', async () => {
    const graph = join(folder, 'speak.yaml');
    await writeFile(graph, jobGraph({ name: 'on-kafka', partitions: PARTITIONS, speaks: true, checkpointEvery: '1s' }));
    const place = ['--brokers', broker.brokers, '--data-dir', join(folder, 'speaking')];
    const run = new Millrace(['up', graph, ...place, '--json']);
    // A busy machine does the same: the job trains, and what answers has not begun to read.
    const sampler = await childOf(run.process.pid, 'sampler-main');
    process.kill(sampler, 'SIGSTOP');
    await run.line((line) => line.includes('"event":"checkpoint"'));
    const asking = millrace(['generate', 'the mill', '--max-tokens', '5', '--brokers', broker.brokers, '--json']);
    await expect.poll(() => readTopic(log, 'prompts'), { timeout: 60_000 }).toHaveLength(1);
    process.kill(sampler, 'SIGCONT');
    const { code, stdout, stderr } = await asking;
    run.kill('SIGINT');
    const ended = await run.finished;
    expect(code, [stderr, 'The job said:', ended.stdout.slice(-4000), ended.stderr.slice(-4000)].join('\n')).toBe(0);
    expect(JSON.parse(stdout.split('\n').at(-1) ?? '')).toMatchObject({ event: 'generation', finish: 'length' });
    expect(ended.code, ended.stderr).toBe(0);
  });

  it('is deployed and rolled back while it runs, and forked', async () => {
    const dataDir = join(folder, 'deployed');
    const text = jobGraph({ name: 'deployed', partitions: PARTITIONS, metrics: 'deployed', checkpointEvery: '60s' });
    const [first, second] = [join(folder, 'first.yaml'), join(folder, 'second.yaml')];
    await Promise.all([
      writeFile(first, text),
      writeFile(second, text.replace('maxBytes: 1MB', 'maxBytes: 2MB').replace('nano', 'nano, learningRate: 0.001')),
    ]);
    await log.createTopic('text', { partitions: PARTITIONS });
    const more = async (): Promise<unknown> => log.produce('text', documents(0));
    const up = ['up', '--brokers', broker.brokers, '--json'];
    await more();
    const job = new Millrace([...up, first, '--data-dir', dataDir]);
    await job.line((line) => line.startsWith('{"event":"step"'));
    for (const command of [['deploy', second], ['rollback'], ['savepoint', 'create']]) {
      await more();
      const done = await millrace([...command, ...(command[1] === 'create' ? [] : ['--yes']), '--data-dir', dataDir]);
      expect(done.code, done.stderr).toBe(0);
    }
    job.kill('SIGINT');
    expect((await job.finished).code).toBe(0);
    await readTrained(log, dataDir, 'deployed');
    const told = (await readTopic(log, 'deployments')).map(({ value }): object => JSON.parse(String(value)));
    expect(told).toMatchObject([
      { how: 'deploy', outcome: 'live', version: 2 },
      { how: 'rollback', outcome: 'live', version: 3 },
    ]);

    const saved = eventsOf(job, 'checkpoint').find(({ reason }) => reason === 'savepoint');
    await more();
    const place = ['--from', saved?.path ?? '', '--data-dir', join(folder, 'forked')];
    const fork = new Millrace([...up, ...place, '--max-steps', String((saved?.step ?? 0) + 2)]);
    const { code, stderr } = await fork.finished;
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('another log')]);
    expect(eventsOf(fork, 'step').map(({ step }) => step - (saved?.step ?? 0))).toEqual([1, 2]);
  });

  it('is not gone on with on another log', async () => {
    const { code, stderr } = await millrace(['up', join(folder, 'graph.yaml'), ...inFolder()]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/runs on Kafka.*--fresh/);
  });
});

describe("Kafka's own tools", () => {
  it('write what millrace reads, with keys and headers', async () => {
    await log.createTopic('from-console');
    const properties = ['parse.key=true', 'parse.headers=true'].flatMap((each) => ['--reader-property', each]);
    const lines = 'trace:7,more:☂\tk\tone ☃\n:\t\ttwo\n';
    await consoleProduce(await kafka(), 'from-console', lines, properties);
    const env = { MILLRACE_KAFKA_BROKERS: broker.brokers };
    const raw = await new Millrace(['tail', 'from-console', '--until-end', '--raw'], { env }).finished;
    expect(raw.stdout).toBe('one ☃\ntwo');
    const [first] = await readTopic(log, 'from-console');
    expect(first).toMatchObject({ key: Buffer.from('k'), headers: { trace: '7', more: '☂' } });
  });

  it('read what millrace writes, with keys and headers', async () => {
    await millrace(['produce', 'to-console', '-', '--key', 'k', '--brokers', broker.brokers], 'one ☃\ntwo\n');
    await log.produce('to-console', [{ key: 'own', value: 'three', headers: { trace: '7', more: '☂' } }]);
    const properties = ['print.key=true', 'print.headers=true'].flatMap((each) => ['--formatter-property', each]);
    const lines = await consoleConsume(await kafka(), 'to-console', 3, properties);
    const bare = 'NO_HEADERS\tk';
    expect(lines).toEqual([`${bare}\tone ☃`, `${bare}\ttwo`, 'trace:7,more:☂\town\tthree']);
  });
});

describe('millrace', () => {
  it('says when no broker answers, and what a broker is', async () => {
    const nobody = await millrace(['tail', 'text', '--brokers', '127.0.0.1:1']);
    expect(nobody).toMatchObject({ code: 1, stderr: expect.stringMatching(/127\.0\.0\.1:1.*\[broker-unreachable\]/) });
    const wrong = await millrace(['tail', 'text', '--brokers', 'localhost']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('host:port') });
    expect((await millrace(['kafka', 'down'])).code).toBe(2);
  });

  it('kafka up names what is missing, and the command that mends it', async () => {
    const bin = join(folder, 'bin');
    const env = { PATH: bin, JAVA_HOME: '', MILLRACE_CACHE: join(folder, 'empty-cache') };
    const without = await new Millrace(['kafka', 'up'], { env }).finished;
    expect(without).toMatchObject({ code: 1, stderr: expect.stringMatching(/Java.* is missing\nTo mend it: apt-get/) });
    await mkdir(bin);
    await writeFile(join(bin, 'java'), '#!/bin/sh\n', { mode: 0o755 });
    const withJava = await new Millrace(['kafka', 'up'], { env }).finished;
    expect(withJava).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/Maven.* is missing\nTo mend it: apt-get/),
    });
  });

  it('kafka up runs a broker, which dies with it and keeps its topics', async () => {
    const dataDir = join(folder, 'broker');
    const first = new Millrace(['kafka', 'up', '--data-dir', dataDir]);
    const brokers = [await first.line(() => true)];
    const one = await openKafkaLog({ brokers });
    await one.createTopic('kept', { partitions: 3 });
    await one.close();
    first.kill('SIGKILL');
    await first.finished;
    await expect.poll(() => isUp(brokers), { timeout: 10_000 }).toBe(false);

    const second = new Millrace(['kafka', 'up', '--data-dir', dataDir]);
    const two = await openKafkaLog({ brokers: [await second.line(() => true)] });
    expect(await two.topics()).toEqual([{ name: 'kept', partitions: 3 }]);
    await two.close();
    second.kill('SIGINT');
    expect((await second.finished).code).toBe(0);
  });
});

function up(...flags: string[]): Millrace {
  return new Millrace(['up', join(folder, 'named.yaml'), ...inFolder(), '--json', ...flags]);
}

function inFolder(): readonly string[] {
  return ['--data-dir', join(folder, 'data')];
}

/** Over all partitions, so that they go in a transaction, whose mark takes an offset. */
function documents(call: number): { value: string; partition: number }[] {
  return Array.from({ length: DOCUMENTS / CALLS }, (_, index) => ({
    value: `document ${call}/${index}: ${`the mill ${index % 17} turns. `.repeat(10)}`,
    partition: index % PARTITIONS,
  }));
}

/** The job's group stands behind the last record of each partition, for people who look at its lag. */
async function expectCommitted(records: readonly LogRecord[]): Promise<void> {
  const job = currentJob(dataFolder(join(folder, 'data')));
  const committed = await log.committed(job?.id ?? '', 'text');
  const ends = Array.from({ length: PARTITIONS }, (_, partition) => {
    const offsets = records.filter((record) => record.partition === partition).map(({ offset }) => offset);
    return { topic: 'text', partition, offset: Math.max(...offsets) + 1 };
  });
  expect(committed).toEqual(ends);
}

async function kafka(): Promise<KafkaTool> {
  return { classPath: await kafkaClassPath(), brokers: broker.brokers };
}

async function isUp(brokers: readonly string[]): Promise<boolean> {
  try {
    const log = await openKafkaLog({ brokers, patienceMs: 0 });
    await log.close();
    return true;
  } catch {
    return false;
  }
}
