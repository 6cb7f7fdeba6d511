import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openKafkaLog } from '../../infra/index.ts';
import { startBroker } from '../../infra/kafka/broker/broker.mjs';
import type { Broker } from '../../infra/kafka/broker/broker.mjs';
import type { LagEvent } from '../../pipelines/job/events.ts';
import type { TopicLog } from '../../operators/index.ts';
import { eventsOf } from '../support/events.ts';
import { jobGraph } from '../support/job-graph.ts';
import { describeGroup } from '../support/kafka-tools.ts';
import { Millrace } from '../support/millrace.ts';
import { printedSeed, randomFrom } from '../support/random.ts';
import { randomTexts } from '../support/random-texts.ts';
import { readShare } from '../support/shared-training.ts';

const GROUP = 'readers';
const PARTITIONS = 4;
const DOCUMENTS = 1200;
/** Parts in which they arrive, so that there is something to read at every stage, however fast the machine is. */
const PARTS = 5;
/** The least that brokers allow by default. */
const SESSION_MS = 6000;
/** `npm run soak` has the patience for more than just beyond a session. */
const ASLEEP_MS = process.env['MILLRACE_SOAK'] ? 30_000 : 0;

const random: () => number = randomFrom(printedSeed('chaos/kafka-group'));
const texts: readonly string[] = randomTexts(random, DOCUMENTS);
let folder: string;
let broker: Broker;
let log: TopicLog;
const running = new Set<Millrace>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-group-'));
  const also = `kafka: { sessionTimeout: ${SESSION_MS}ms }`;
  await writeFile(join(folder, 'graph.yaml'), jobGraph({ name: 'shared', partitions: PARTITIONS, also }));
  broker = await startBroker();
  log = await openKafkaLog({ brokers: [broker.brokers] });
  await log.createTopic('text', { partitions: PARTITIONS });
});
afterAll(async () => {
  for (const run of running) run.kill('SIGKILL');
  await log.close();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

test('jobs of a group train on every record once between them, whoever comes, goes, dies or falls asleep', async () => {
  const [first, second] = [up('first'), up('second')];
  await reads(first, 2);
  await reads(second, 2);
  await arrives(0);
  await sleep(random() * 3000);

  first.kill('SIGKILL');
  await first.finished;
  await reads(second, 4);
  await arrives(1);
  await sleep(random() * 2000);
  const third = up('first');
  await reads(third, 2);
  await reads(second, 2);
  await arrives(2);
  await sleep(random() * 2000);

  // Sleeps for longer than a session, while the other goes on with its partitions; then wakes up in the middle of things.
  third.kill('SIGSTOP');
  await reads(second, 4);
  await sleep(ASLEEP_MS);
  await sleep(random() * 2000);
  third.kill('SIGCONT');
  await third.line((line) => line.includes('"outcome":"restarted"') && line.includes(`Group ${GROUP}`));
  await reads(third, 2);
  await arrives(3);
  await sleep(random() * 2000);

  second.kill('SIGINT');
  expect((await second.finished).code).toBe(0);
  await reads(third, 4);
  const fourth = up('second');
  await reads(fourth, 2);
  await reads(third, 2);
  await arrives(4);

  for (const run of [third, fourth]) await expect.poll(() => lagOf(run), { timeout: 90_000, interval: 200 }).toBe(0);
  for (const run of [third, fourth]) await settled(run);
  const members = await membersByKafka();
  expect({ partitions: members.length, members: new Set(members).size }).toEqual({
    partitions: PARTITIONS,
    members: 2,
  });
  for (const run of [third, fourth]) {
    run.kill('SIGINT');
    const { code, stderr } = await run.finished;
    expect(code, stderr).toBe(0);
  }
  const shares = [
    await readShare(log, join(folder, 'first'), GROUP),
    await readShare(log, join(folder, 'second'), GROUP),
  ];
  expect(shares.flatMap(({ read }) => read).toSorted()).toEqual(everyRecord());
  expect(shares.flatMap(({ trained }) => trained).toSorted()).toEqual(everyRecord());
  expect(shares.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(Buffer.byteLength(texts.join('')));
  expect(shares.map(({ read }) => read.length > 0)).toEqual([true, true]);
}, 240_000);

/** Produces a part of the documents, a partition at a time, so that no transaction's marks stand between the records. */
async function arrives(part: number): Promise<void> {
  const [from, to] = [(part * DOCUMENTS) / PARTS, ((part + 1) * DOCUMENTS) / PARTS];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const own = texts.slice(from, to).filter((_, at) => (from + at) % PARTITIONS === partition);
    await log.produce(
      'text',
      own.map((value) => ({ value, partition })),
    );
  }
}

function up(name: string): Millrace {
  const place = ['--data-dir', join(folder, name), '--brokers', broker.brokers, '--group', GROUP];
  const run = new Millrace(['up', join(folder, 'graph.yaml'), ...place, '--json']);
  running.add(run);
  void run.finished.then(() => running.delete(run));
  return run;
}

/** Who reads each partition, as Kafka's own tool says. */
async function membersByKafka(): Promise<readonly string[]> {
  const table = await describeGroup(broker, GROUP);
  return table.split('\n').flatMap((line) => /^readers +text +\d+ .* (\S+-[0-9a-f-]{36}) /.exec(line)?.[1] ?? []);
}

/** Resolves when the job reads so many partitions by its newest report. */
async function reads(run: Millrace, count: number): Promise<void> {
  const newest = (): LagEvent | undefined => eventsOf(run, 'lag').at(-1);
  await expect.poll(() => newest()?.partitions.length, { timeout: 40_000, interval: 100 }).toBe(count);
}

function lagOf(run: Millrace): number | undefined {
  return eventsOf(run, 'lag').at(-1)?.lag;
}

/** Resolves when the job has done all its steps: batches of its cut wait without a lag. */
async function settled(run: Millrace): Promise<void> {
  for (let steps = -1; steps !== eventsOf(run, 'step').length; await sleep(3000)) steps = eventsOf(run, 'step').length;
}

function everyRecord(): readonly string[] {
  return texts.map((_, at) => `${at % PARTITIONS}/${Math.floor(at / PARTITIONS)}`).toSorted();
}
