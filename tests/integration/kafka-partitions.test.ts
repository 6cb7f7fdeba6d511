import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import type { Admin } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openKafkaLog } from '../../infra/index.ts';
import { startBroker } from '../../infra/kafka/broker/broker.mjs';
import type { Broker } from '../../infra/kafka/broker/broker.mjs';
import type { TopicLog } from '../../operators/index.ts';
import { currentJob, dataFolder } from '../../pipelines/job/job-folder.ts';
import { checkpointIds, inspectCheckpoint, trainedIn } from '../../pipelines/job/saved-checkpoints.ts';
import { eventsOf } from '../support/events.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';

const GRAPH = jobGraph({
  name: 'partitions',
  ingest: 'from: latest',
  batch: 'maxWait: 100ms',
  checkpointEvery: '60s',
});

let broker: Broker;
let log: TopicLog;
let admin: Admin;
let folder: string;
let run: Millrace;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-partitions-'));
  await writeFile(join(folder, 'graph.yaml'), GRAPH);
  broker = await startBroker();
  log = await openKafkaLog({ brokers: [broker.brokers] });
  admin = new Kafka({ brokers: [broker.brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await log.createTopic('text');
  const place = ['--data-dir', join(folder, 'data'), '--brokers', broker.brokers];
  run = new Millrace(['up', join(folder, 'graph.yaml'), ...place, '--json']);
  await run.line((line) => line.includes('"event":"ready"'));
});
afterAll(async () => {
  await admin.disconnect();
  await log.close();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

test('partitions that are added while a job runs are trained from their start, behind a cut', async () => {
  await log.produce('text', texts(0, 3));
  await run.line((line) => line.includes('"offset":3,"end":3,"lag":0'));
  const cuts = eventsOf(run, 'checkpoint').length;
  await admin.createPartitions({ topicPartitions: [{ topic: 'text', count: 2 }] });
  // Another client than the job's, which has to hear of it by itself.
  const other = await openKafkaLog({ brokers: [broker.brokers] });
  await other.produce('text', texts(1, 5));
  await other.close();
  await run.line((line) => line.includes('"partition":1,"offset":5,"end":5,"lag":0'));
  expect(eventsOf(run, 'checkpoint').length).toBeGreaterThan(cuts);
});

test('a topic that is deleted while a job runs ends it, with all that was read in a checkpoint', async () => {
  await log.produce('text', texts(0, 2));
  await run.line((line) => line.includes('"partition":0,"offset":5,"end":5,"lag":0'));
  const step = eventsOf(run, 'step').at(-1);
  await admin.deleteTopics({ topics: ['text'] });
  const { code, stderr } = await run.finished;
  expect(code, stderr).toBe(1);
  expect(stderr).toMatch(/topic text\b.*somebody has deleted it.*last checkpoint.*\[topic-missing\]/);
  expect(await stepOfNewestCheckpoint()).toBe(step?.step);
});

async function stepOfNewestCheckpoint(): Promise<number | undefined> {
  const job = currentJob(dataFolder(join(folder, 'data')));
  const id = job ? (await checkpointIds(job)).at(-1) : undefined;
  const newest = job && id ? await inspectCheckpoint(job, id, true) : null;
  return newest?.condition === 'intact' ? trainedIn(newest.manifest)?.step : undefined;
}

test('a group needs brokers', async () => {
  const { code, stderr } = await millrace(['up', join(folder, 'graph.yaml'), '--group', 'readers']);
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--brokers') });
});

function texts(partition: number, count: number): { readonly value: string; readonly partition: number }[] {
  return Array.from({ length: count }, (_, index) => ({ value: `text ${index} of ${partition}`, partition }));
}
