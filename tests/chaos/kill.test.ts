import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEmbeddedLog } from '../../infra/index.ts';
import { dataFolder } from '../../pipelines/job/job-folder.ts';
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
/** In both topics together. */
const DOCUMENTS = 600;
const TOPICS = ['text', 'notes'];

let folder: string;
let graph: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-chaos-'));
  graph = join(folder, 'graph.yaml');
  const settings = {
    others: ['notes'],
    ingest: 'window: 32KB, mix: { text: 3, notes: 1 }',
    // A memory of fewer rows than there are.
    behindBatch: '{ uid: again, replay: { share: 0.2, stepsPerBatch: 1, memory: 64KB } }',
  };
  await writeFile(graph, jobGraph({ name: 'chaos', partitions: PARTITIONS, ...settings }));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test(`SIGKILL at ${KILLS} random moments leaves the loss curve and the weights as they are without`, async () => {
  const random = randomFrom(printedSeed('chaos/kill'));
  const texts = randomTexts(random, DOCUMENTS);

  const calm = join(folder, 'calm');
  await fill(calm, texts);
  const expected = await runToTheEnd(calm);
  expect(expected.curve.length).toBeGreaterThan(200);

  const killed = join(folder, 'killed');
  await fill(killed, texts);
  await killOften(() => start(killed), KILLS, random);
  expect(await runToTheEnd(killed)).toEqual(expected);
}, 600_000);

async function fill(dataDir: string, texts: readonly string[]): Promise<void> {
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  for (const [nth, topic] of TOPICS.entries()) {
    const own = texts.filter((_, index) => index % TOPICS.length === nth);
    await log.createTopic(topic, { partitions: PARTITIONS });
    await log.produce(
      topic,
      own.map((value, index) => ({ value, partition: index % PARTITIONS })),
    );
  }
  await log.close();
}

function start(dataDir: string): Millrace {
  return new Millrace(['up', graph, '--data-dir', dataDir, '--json', '--until-idle', '3s']);
}

/** What was trained, which is every record once. */
async function runToTheEnd(dataDir: string): Promise<Trained> {
  const { code, stderr } = await start(dataDir).finished;
  expect(code, stderr).toBe(0);
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  try {
    const trained = await readTrained(log, dataDir);
    const records = await Promise.all(TOPICS.map((topic) => readTopic(log, topic)));
    expect(trained.records).toEqual(namesOf(records.flat()));
    return trained;
  } finally {
    await log.close();
  }
}
