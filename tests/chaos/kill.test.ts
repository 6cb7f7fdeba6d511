import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { openCheckpointStore, openEmbeddedLog } from '../../infra/index.ts';
import type { Span } from '../../operators/index.ts';
import { currentJob, dataFolder } from '../../pipelines/job/job-folder.ts';
import { Millrace } from '../support/millrace.ts';
import { readTopic } from '../support/read-topic.ts';
import { printedSeed, randomFrom } from '../support/random.ts';

const KILLS = 20;
const PARTITIONS = 3;
const DOCUMENTS = 900;

const GRAPH = `
name: chaos
model: { preset: nano }
tokenizer: { kind: bytes }
topics:
  text: { partitions: ${PARTITIONS} }
  metrics: {}
streams:
  learn:
    - { uid: text, ingest: { topics: [text], window: 32KB, tickEvery: 200ms } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: { maxWait: 500ms } }
    - { uid: train, trainStep: {} }
    - { uid: metrics, publish: { topic: metrics } }
    - { uid: checkpoint, checkpoint: { every: 2s } }
`;

const stepSchema = z.looseObject({
  step: z.number(),
  loss: z.number(),
  spans: z.array(z.object({ topic: z.string(), partition: z.number(), from: z.number(), to: z.number() })),
});
type Step = z.output<typeof stepSchema>;

let folder: string;
let graph: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-chaos-'));
  graph = join(folder, 'graph.yaml');
  await writeFile(graph, GRAPH);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test(`SIGKILL at ${KILLS} random moments leaves the loss curve and the weights as they are without`, async () => {
  const seed = printedSeed('chaos/kill');
  const random = randomFrom(seed);
  const texts = Array.from({ length: DOCUMENTS }, (_, index) => randomText(random, index));

  const calm = join(folder, 'calm');
  await fill(calm, texts);
  await runToTheEnd(calm);

  const killed = join(folder, 'killed');
  await fill(killed, texts);
  for (let kill = 0; kill < KILLS; kill++) {
    const run = start(killed);
    // Every third dies on its way up, the others somewhere between their first step and some seconds later.
    if (kill % 3 > 0) await Promise.race([run.line((line) => line.includes('"event":"step"')), run.finished]);
    await sleep(random() * 2500);
    run.kill('SIGKILL');
    await run.finished;
  }
  await runToTheEnd(killed);

  const [calmSteps, killedSteps] = [await readSteps(calm), await readSteps(killed)];
  expect(calmSteps.length).toBeGreaterThan(100);
  expect(killedSteps.map(({ step }) => step)).toEqual(calmSteps.map((_, index) => index + 1));
  expect(killedSteps.map(curve)).toEqual(calmSteps.map(curve));
  expect(recordsOf(killedSteps)).toEqual(everyRecordOnce());
  expect(await weightsHash(killed)).toBe(await weightsHash(calm));
}, 600_000);

function randomText(random: () => number, index: number): string {
  const words = Array.from({ length: 5 + Math.floor(random() * 60) }, () => Math.floor(random() * 300).toString(36));
  return `document ${index}: ${words.join(' ')}.`;
}

async function fill(dataDir: string, texts: readonly string[]): Promise<void> {
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  await log.createTopic('text', { partitions: PARTITIONS });
  await log.produce(
    'text',
    texts.map((value, index) => ({ value, partition: index % PARTITIONS })),
  );
  await log.close();
}

function start(dataDir: string): Millrace {
  return new Millrace(['up', graph, '--data-dir', dataDir, '--json', '--until-idle', '3s']);
}

async function runToTheEnd(dataDir: string): Promise<void> {
  const { code, stderr } = await start(dataDir).finished;
  expect(code, stderr).toBe(0);
}

async function readSteps(dataDir: string): Promise<Step[]> {
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  const records = await readTopic(log, 'metrics');
  await log.close();
  return records.map(({ value }) => stepSchema.parse(JSON.parse(Buffer.from(value ?? []).toString())));
}

/** All that a step reports but nothing of when it ran. */
function curve({ step, loss, spans, ...rest }: Step): object {
  return { step, loss, spans, gradNorm: rest['gradNorm'], totals: rest['totals'] };
}

/** Records that stand in the spans, by partition, each once however many steps it took. */
function recordsOf(steps: readonly Step[]): string[] {
  const seen = new Set<string>();
  const last = new Map<number, number>();
  for (const { partition, from, to } of steps.flatMap(({ spans }): readonly Span[] => spans)) {
    // A long document goes on in the next step; nothing else may stand twice.
    expect(from).toBeGreaterThanOrEqual((last.get(partition) ?? 0) - 1);
    last.set(partition, to);
    for (let offset = from; offset < to; offset++) seen.add(`${partition}/${offset}`);
  }
  return [...seen].toSorted();
}

function everyRecordOnce(): string[] {
  return Array.from(
    { length: DOCUMENTS },
    (_, index) => `${index % PARTITIONS}/${Math.floor(index / PARTITIONS)}`,
  ).toSorted();
}

async function weightsHash(dataDir: string): Promise<string> {
  const job = currentJob(dataFolder(dataDir));
  const logger = { info: () => {}, warn: () => {} };
  const store = await openCheckpointStore(job?.checkpoints ?? '', { jobId: job?.id ?? '', logger, describe: {} });
  const newest = await store.latest();
  return createHash('sha256')
    .update(await readFile(join(newest?.path ?? '', 'weights.safetensors')))
    .digest('hex');
}
