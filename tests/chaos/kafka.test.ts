import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openKafkaLog } from '../../infra/index.ts';
import type { TopicLog } from '../../operators/index.ts';
import { startBroker } from '../../infra/kafka/broker/broker.mjs';
import type { Broker } from '../../infra/kafka/broker/broker.mjs';
import { jobGraph } from '../support/job-graph.ts';
import { killOften } from '../support/kill-often.ts';
import { Millrace } from '../support/millrace.ts';
import { printedSeed, randomFrom } from '../support/random.ts';
import { randomTexts } from '../support/random-texts.ts';
import { readTopic } from '../support/read-topic.ts';
import { namesOf, readTrained } from '../support/trained.ts';
import type { Trained } from '../support/trained.ts';

const KILLS = 20;
const PARTITIONS = 3;
const DOCUMENTS = 600;
const CALLS = 6;
/** `npm run soak` has the patience for more. */
const AWAY_MS = Number(process.env['MILLRACE_TEST_OUTAGE_MS'] ?? 5000);

const random: () => number = randomFrom(printedSeed('chaos/kafka'));
let folder: string;
let broker: Broker;
let log: TopicLog;
let calm: Trained;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-chaos-'));
  broker = await startBroker({ quickRejoin: true });
  log = await openKafkaLog({ brokers: [broker.brokers], patienceMs: 60_000 });
  await log.createTopic('text', { partitions: PARTITIONS });
  const texts = randomTexts(random, DOCUMENTS).map((value, index) => ({ value, partition: index % PARTITIONS }));
  for (let call = 0; call < CALLS; call++)
    await log.produce(
      'text',
      texts.filter((_, at) => at % CALLS === call),
    );
  await (
    await start('calm')
  ).finished;
  calm = await endOf('calm', await start('calm'));
}, 180_000);
afterAll(async () => {
  await log.close();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Each run trains on the same records, and must do so as the one that nothing happened to. */
describe('a job on Kafka trains to the bit as without a fault', () => {
  it('where without one each record is trained on once', async () => {
    expect(calm.curve.length).toBeGreaterThan(100);
    expect(calm.records).toEqual(namesOf(await readTopic(log, 'text')));
  });

  it(`when it is killed at ${KILLS} random moments`, async () => {
    await start('killed').then((run) => run.kill('SIGKILL'));
    await killOften(() => up('killed'), KILLS, random);
    expect(await endOf('killed', up('killed'))).toEqual(calm);
  }, 600_000);

  it('when the broker is not there at first, is killed, and stays away for a while', async () => {
    await broker.kill();
    const hasty = await start('restarted').then((run) => run.finished);
    expect(hasty).toMatchObject({ code: 1, stderr: expect.stringContaining('[broker-unreachable]') });
    const run = up('restarted', '--wait');
    expect(JSON.parse(await run.line(isOutage))).toMatchObject({ state: 'waiting', patienceMs: 300_000 });
    await broker.restart();
    for (const [step, awayMs] of [
      [20, 0],
      [60, AWAY_MS],
      [100, 0],
    ] as const) {
      await run.line((line) => line.includes(`"step":${step},`));
      await sleep(random() * 300);
      await broker.kill();
      await sleep(awayMs);
      await broker.restart();
    }
    await run.line((line) => line.includes('"state":"over"'));
    expect(await endOf('restarted', run)).toEqual(calm);
  }, 240_000);

  it('when it is stopped, and later runs out of patience, while no broker answers', async () => {
    const stopped = await start('stopped');
    await stopped.line((line) => line.includes('"step":20,'));
    await broker.kill();
    await stopped.line(isOutage);
    stopped.kill('SIGINT');
    await stopped.finished;
    await broker.restart();

    const impatient = up('stopped', '--patience', '2s');
    await impatient.line((line) => line.includes('"event":"step"'));
    await broker.kill();
    const { code, stderr } = await impatient.finished;
    expect(code).toBe(1);
    expect(stderr).toContain('[broker-unreachable]');
    await broker.restart();
    expect(await endOf('stopped', up('stopped'))).toEqual(calm);
  }, 240_000);
});

function isOutage(line: string): boolean {
  return line.includes('"event":"outage"');
}

function dataDir(name: string): string {
  return join(folder, name);
}

/** A job of its own on the topics that all share. */
async function start(name: string, ...flags: string[]): Promise<Millrace> {
  const graph = jobGraph({ name, partitions: PARTITIONS, metrics: `metrics-${name}` });
  await writeFile(join(folder, `${name}.yaml`), graph);
  return up(name, ...flags);
}

function up(name: string, ...flags: string[]): Millrace {
  const place = ['--data-dir', dataDir(name), '--brokers', broker.brokers];
  return new Millrace(['up', join(folder, `${name}.yaml`), ...place, '--json', '--until-idle', '3s', ...flags]);
}

/** What a job has trained once it has come to its end. */
async function endOf(name: string, run: Millrace): Promise<Trained> {
  const { code, stderr } = await run.finished;
  expect(code, stderr).toBe(0);
  return readTrained(log, dataDir(name), `metrics-${name}`);
}
