import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigResourceTypes, Kafka, logLevel } from 'kafkajs';
import type { Admin } from 'kafkajs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openKafkaLog } from '../../infra/index.ts';
import type { TopicLog } from '../../operators/index.ts';
import { jobGraph } from '../support/job-graph.ts';
import { emptyBroker } from '../support/kafka-broker.ts';
import type { TestBroker } from '../support/kafka-broker.ts';
import { millrace } from '../support/millrace.ts';
import type { Finished } from '../support/millrace.ts';
import { readTopic } from '../support/read-topic.ts';
import { namesOf, readTrained } from '../support/trained.ts';

let broker: TestBroker;
let log: TopicLog;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-poison-'));
  await writeFile(join(folder, 'graph.yaml'), jobGraph({ name: 'poison' }));
  broker = await emptyBroker();
  log = await openKafkaLog({ brokers: [broker.brokers] });
});
afterEach(async () => {
  await log.close();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

test('a job stops before a record whose dead letter the broker refuses, and goes on there once it takes it', async () => {
  await log.createTopic('text');
  await log.createTopic('deadletters');
  await limitLetters(200);
  const before = await log.produce('text', documents(40));
  const [bad] = await log.produce('text', [{ value: Buffer.alloc(1000, 0xff) }]);
  const after = await log.produce('text', documents(40));

  const stopped = await up();
  expect(stopped).toMatchObject({ code: 1, stderr: expect.stringContaining('[dead-letter-failed]') });
  expect(stopped.stderr).toContain(`Record ${bad?.offset} of text/0`);
  expect(await readTopic(log, 'deadletters')).toEqual([]);

  await limitLetters(1_000_000);
  const { code, stderr } = await up();
  expect(code, stderr).toBe(0);
  const [letter, ...others] = await readTopic(log, 'deadletters');
  expect(others).toEqual([]);
  expect(letter?.headers).toMatchObject({ topic: 'text', offset: String(bad?.offset), code: 'record-not-utf8' });
  const { records } = await readTrained(log, join(folder, 'data'));
  expect(records.filter((name) => name !== namesOf([bad ?? { topic: '', partition: 0, offset: 0 }])[0])).toEqual(
    namesOf([...before, ...after]),
  );

  const replayed = await millrace(['deadletters', 'replay', '--all', '--brokers', broker.brokers]);
  expect(replayed).toMatchObject({ code: 0, stdout: 'Replayed 1 letter.' });
  expect((await readTopic(log, 'text')).at(-1)).toMatchObject({
    value: Buffer.alloc(1000, 0xff),
    headers: { 'millrace-replayed': '0:0' },
  });
});

test('a job that retention has overtaken ends and names what is lost, or goes on behind it when it may', async () => {
  await log.createTopic('text');
  await log.produce('text', documents(40));
  expect(await up()).toMatchObject({ code: 0 });
  await log.produce('text', documents(40));
  await withAdmin(async (admin) => {
    await admin.fetchTopicOffsets('text');
    await admin.deleteTopicRecords({ topic: 'text', partitions: [{ partition: 0, offset: '60' }] });
  });

  const stopped = await up();
  expect(stopped).toMatchObject({ code: 1, stderr: expect.stringContaining('[offset-out-of-range]') });
  expect(stopped.stderr).toContain('Offsets 40 to 59 of text/0 are gone');

  await writeFile(join(folder, 'graph.yaml'), jobGraph({ name: 'poison', ingest: 'onDataLoss: earliest' }));
  const { code, stdout, stderr } = await up();
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('"offset":40,"code":"offset-out-of-range"');
  const { records } = await readTrained(log, join(folder, 'data'));
  const names = Array.from({ length: 80 }, (_, offset) => ({ topic: 'text', partition: 0, offset }));
  expect(records).toEqual(namesOf(names.filter(({ offset }) => offset < 40 || offset >= 60)));
});

function up(): Promise<Finished> {
  const place = ['--data-dir', join(folder, 'data'), '--brokers', broker.brokers];
  return millrace(['up', join(folder, 'graph.yaml'), ...place, '--json', '--until-idle', '2s']);
}

function documents(count: number): { readonly value: string }[] {
  return Array.from({ length: count }, (_, at) => ({ value: `document ${at}: ${`the mill ${at} turns. `.repeat(8)}` }));
}

async function limitLetters(bytes: number): Promise<void> {
  const configEntries = [{ name: 'max.message.bytes', value: String(bytes) }];
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: 'deadletters', configEntries }];
  await withAdmin((admin) => admin.alterConfigs({ validateOnly: false, resources }));
}

async function withAdmin(work: (admin: Admin) => Promise<unknown>): Promise<void> {
  const admin = new Kafka({ brokers: [broker.brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await work(admin);
  await admin.disconnect();
}
