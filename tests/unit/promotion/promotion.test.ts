import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openCheckpointStore } from '../../../infra/index.ts';
import { plainFormat } from '../../../operators/formats.ts';
import type { CheckpointStore, WeightsFile } from '../../../operators/ports.ts';
import type { PromotionEvent } from '../../../pipelines/job/events.ts';
import { dataFolder, newJob } from '../../../pipelines/job/job-folder.ts';
import type { JobFolder } from '../../../pipelines/job/job-folder.ts';
import { Champions } from '../../../pipelines/promotion/champions.ts';
import { LivePrompts } from '../../../pipelines/promotion/live-prompts.ts';
import { ExamRoom } from '../../../pipelines/evaluation/exam-room.ts';
import { Promotion } from '../../../pipelines/promotion/promotion.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';
import { graphOf } from '../../support/graphs.ts';
import { jobGraph } from '../../support/job-graph.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryDeadLetters } from '../../support/memory-stores.ts';
import { ScoringSampler } from '../../support/scoring-sampler.ts';
import { Deferred } from '../../support/settle.ts';

/* Snapshots of a job's folder, and a sampler to which they are as good as the test says. */

const graph = graphOf(
  jobGraph({ name: 'p', also: 'promote: { heldOut: { topic: apart }, cloze: none, fallBackAfter: 2 }' }).replace(
    'metrics: {}',
    'metrics: {}, apart: {}',
  ),
);
const { promote } = graph;

let root: string;
let folder: JobFolder;
let log: MemoryLog;
let store: CheckpointStore;
let champions: Champions;
let offered: WeightsFile[];
let events: PromotionEvent[];
let warnings: string[];
/** Bits per byte of a snapshot, by its step; one that is not there takes the process with it. */
let worth: Map<number, number>;
/** Exams wait for it. */
let gate: Promise<void>;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-promotion-'));
  folder = newJob(dataFolder(root), 'embedded');
  await mkdir(folder.checkpoints);
  await writeFile(folder.tokenizer, '{}');
  log = new MemoryLog();
  for (const topic of ['apart', 'promotions']) await log.createTopic(topic);
  await log.produce('apart', [{ value: 'text that nobody has learnt' }]);
  await openAll();
  worth = new Map();
  [offered, events, warnings] = [[], [], []];
  gate = Promise.resolve();
});

afterEach(() => rm(root, { recursive: true, force: true }));

/** As a new process finds it. */
async function openAll(): Promise<void> {
  champions = await Champions.open(folder);
  const logger = { info: () => {}, warn: () => {} };
  store = await openCheckpointStore(folder.checkpoints, {
    jobId: 'j',
    logger,
    describe: {},
    files: [{ name: 'tokenizer.json', path: folder.tokenizer }],
    held: () => champions.held,
  });
}

async function start(): Promise<Promotion> {
  if (!promote) throw new Error('The graph must promote.');
  const formats = { of: () => plainFormat };
  const settings = { model: { maxContext: 64 } };
  return Promotion.start({
    job: {
      folder,
      graph,
      champions,
      log,
      formats,
      tokenizer: byteTokenizer,
      tokenizerFile: folder.tokenizer,
      settings,
    },
    promote,
    voice: { offer: (weights) => void offered.push(weights), prompts: new LivePrompts() },
    deadLetters: new MemoryDeadLetters(),
    room: new ExamRoom(async () => {
      await gate;
      return new ScoringSampler((_token, _before, { step }) => {
        const bits = worth.get(step);
        if (bits === undefined) throw new Error('The sampler process was ended by SIGKILL.');
        return -bits * Math.LN2;
      });
    }),
    onEvent: (event) => void (event.event === 'promotion' && events.push(event)),
    onWarning: (message) => void warnings.push(message),
  });
}

/** A snapshot that is so good, as training saves it. */
async function snapshot(step: number, bitsPerByte?: number): Promise<WeightsFile> {
  if (bitsPerByte !== undefined) worth.set(step, bitsPerByte);
  const totals = { tokens: 1, bytes: 1, bits: 1 };
  const { id, path } = await store.put({ reason: 'timer', states: new Map([['train', { state: { step, totals } }]]) });
  return { id, step, path };
}

function course(): string[] {
  return events.map(({ verdict, snapshot: { step }, champion }) => `${verdict} ${step}, ${champion?.step} speaks`);
}

async function decided(count: number): Promise<void> {
  await vi.waitFor(() => expect(events).toHaveLength(count), { timeout: 15_000 });
}

test('only those that are good enough are offered to the voice, and none twice', async () => {
  const promotion = await start();
  for (const [at, bits] of [5, 3, 4, 2.99].entries()) {
    const weights = await snapshot(at + 1, bits);
    promotion.offer(weights);
    promotion.offer(weights);
    await decided(at + 1);
    promotion.offer(weights);
  }
  await promotion.close();
  expect(course()).toEqual([
    'promoted 1, 1 speaks',
    'promoted 2, 2 speaks',
    'refused 3, 2 speaks',
    'promoted 4, 4 speaks',
  ]);
  expect(offered.map(({ step }) => step)).toEqual([1, 2, 4]);
  expect(offered[0]?.path).toBe(join(folder.checkpoints, offered[0]?.id ?? '', 'weights.safetensors'));
});

test('where snapshots come faster than exams, the newest is examined, and keeps its checkpoint until then', async () => {
  const promotion = await start();
  const held = new Deferred<void>();
  gate = held.promise;
  for (const step of [1, 2, 3, 4]) {
    promotion.offer(await snapshot(step, 5));
    await store.prune(1);
  }
  const ids = (await store.list()).map(({ id }) => Number(id));
  expect(ids).toEqual([1, 4]);
  held.resolve();
  await decided(4);
  await promotion.close();
  expect(course()).toEqual([
    'promoted 1, 1 speaks',
    'skipped 2, 1 speaks',
    'skipped 3, 1 speaks',
    'promoted 4, 4 speaks',
  ]);
});

test('a new process goes on with the champion, and with what has no decision yet', async () => {
  const one = await start();
  const seen = { seen: { 'text/0': 7 }, textAtMs: 5 };
  one.offer({ ...(await snapshot(1, 3)), ...seen, trainedAtMs: 9 });
  await decided(1);
  await one.close();
  await snapshot(2, 2);
  const newest = await snapshot(3, 5);
  await openAll();
  const two = await start();
  expect(offered.map(({ path: _path, ...weights }) => weights)).toEqual([
    { id: '000000001', step: 1, ...seen, trainedAtMs: 9 },
    { id: '000000001', step: 1, ...seen },
  ]);
  two.offer(newest);
  await decided(3);
  await two.close();
  expect(course()).toEqual(['promoted 1, 1 speaks', 'skipped 2, 1 speaks', 'refused 3, 1 speaks']);
});

test('checkpoints of the champion and of those before it are not pruned; where its is lost, the one before speaks', async () => {
  const one = await start();
  for (const [step, bits] of [
    [1, 5],
    [2, 4],
    [3, 3],
    [4, 2],
    [5, 9],
  ] as const) {
    one.offer(await snapshot(step, bits));
    await decided(step);
    await store.prune(1);
  }
  await one.close();
  expect((await store.list()).map(({ id }) => Number(id))).toEqual([2, 3, 4, 5]);
  await rm(join(folder.checkpoints, '000000004'), { recursive: true });
  await openAll();
  const two = await start();
  await two.close();
  expect(offered.at(-1)?.step).toBe(3);
  expect(course().at(-1)).toBe('demoted 4, 3 speaks');
  expect(events.at(-1)?.reasons).toEqual(['its checkpoint is gone']);
});

test('an exam that could not be held is said, and the snapshot gives way to the next', async () => {
  const promotion = await start();
  promotion.offer(await snapshot(1));
  await vi.waitFor(() => expect(warnings).toHaveLength(1), { timeout: 15_000 });
  expect(warnings[0]).toContain('could not be examined');
  expect(events).toEqual([]);
  promotion.offer(await snapshot(2, 5));
  await decided(2);
  await promotion.close();
  expect(course()).toEqual(['skipped 1, undefined speaks', 'promoted 2, 2 speaks']);
});

test('nobody is demoted for a champion before that knows other tokens', async () => {
  const promotion = await start();
  const before = await snapshot(1, 5);
  promotion.offer(before);
  await decided(1);
  promotion.offer(await snapshot(2, 3));
  await decided(2);
  await writeFile(join(folder.checkpoints, before.id, 'tokenizer.json'), '{"of": "the vocabulary before"}');
  await expect(promotion.demote()).rejects.toMatchObject({
    code: 'bad-usage',
    message: expect.stringContaining("can't speak any more"),
  });
  expect(champions.state.champion?.step).toBe(2);
  await promotion.close();
});

test('a command that comes between an exam and its decision is heeded', async () => {
  const promotion = await start();
  promotion.offer(await snapshot(1, 5));
  await decided(1);
  promotion.offer(await snapshot(2, 3));
  await decided(2);
  const asked = promotion.demote();
  promotion.offer(await snapshot(3, 4));
  await asked;
  await decided(4);
  expect(course().slice(2)).toEqual(['demoted 2, 1 speaks', 'promoted 3, 3 speaks']);
  const twice = [await promotion.promote('2', 'mine'), await promotion.promote('2', 'mine')];
  expect(new Set(twice.map(({ sequence }) => sequence)).size).toBe(1);
  await promotion.promote('3');
  await expect(promotion.promote('7')).rejects.toMatchObject({ code: 'bad-usage' });
  await expect(promotion.promote('3')).rejects.toThrow('speaks already');
  expect(await promotion.promote('2')).toMatchObject({ by: 'hand', results: { bitsPerByte: expect.closeTo(3, 9) } });
  await promotion.close();
  expect(offered.map(({ step }) => step)).toEqual([1, 2, 1, 3, 2, 3, 2]);
});
