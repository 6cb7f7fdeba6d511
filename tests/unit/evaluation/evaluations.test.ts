import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCheckpointStore } from '../../../infra/index.ts';
import { byteTokenizerFile, presets, writeTokenizerFile } from '../../../model/index.ts';
import { plainFormat } from '../../../operators/formats.ts';
import type { CheckpointStore } from '../../../operators/ports.ts';
import type { Evaluation } from '../../../pipelines/evaluation/evaluation.ts';
import { Evaluations } from '../../../pipelines/evaluation/evaluations.ts';
import type { EvaluatingJob } from '../../../pipelines/evaluation/evaluations.ts';
import { ExamRoom } from '../../../pipelines/evaluation/exam-room.ts';
import { dataFolder, startJob } from '../../../pipelines/job/job-folder.ts';
import { graphOf } from '../../support/graphs.ts';
import { jobGraph } from '../../support/job-graph.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { readTopic } from '../../support/read-topic.ts';
import { ScoringSampler } from '../../support/scoring-sampler.ts';
import { Deferred } from '../../support/settle.ts';

let folder: string;
let job: EvaluatingJob;
let store: CheckpointStore;
let events: Evaluation[];
let warnings: string[];
/** Opens when an exam may begin; a scoring that fails where it says so. */
let gate: Promise<void>;
let isBroken: boolean;
let told: Deferred<void>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-evaluations-'));
  const jobFolder = startJob(dataFolder(folder), 'embedded');
  await writeFile(join(folder, 'held-out.txt'), 'abcdefgh');
  const exam = `    - { uid: exam, evaluate: { heldOut: { file: ${join(folder, 'held-out.txt')} } } }\n    - { uid: metrics`;
  const graph = graphOf(jobGraph({ name: 'evaluated' }).replace('    - { uid: metrics', exam));
  job = { folder: jobFolder, graph, log: new MemoryLog(), formats: { of: () => plainFormat } };
  await mkdir(jobFolder.checkpoints, { recursive: true });
  writeTokenizerFile(jobFolder.tokenizer, byteTokenizerFile());
  store = await openCheckpointStore(jobFolder.checkpoints, {
    jobId: jobFolder.id,
    logger: { info: () => {}, warn: () => {} },
    describe: { model: { ...presets.nano.model } },
    files: [{ name: 'tokenizer.json', path: jobFolder.tokenizer }],
  });
  events = [];
  warnings = [];
  gate = Promise.resolve();
  isBroken = false;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Evaluations of the job, as a process of its has them. */
function begin(): Promise<Evaluations> {
  told = new Deferred<void>();
  const room = new ExamRoom(async () => {
    await gate;
    return new ScoringSampler(() => {
      if (isBroken) throw new Error('The sampler process was ended by SIGKILL.');
      return -Math.LN2;
    });
  });
  const hear = <T>(list: T[], each: T): void => {
    list.push(each);
    told.resolve();
    told = new Deferred<void>();
  };
  return Evaluations.start({
    job,
    room,
    onEvent: (event) => void (event.event === 'evaluation' && hear(events, event)),
    onWarning: (message) => hear(warnings, message),
  });
}

/** A checkpoint as training saves it; resolves with its folder. */
async function checkpoint(step: number, isDue: boolean): Promise<string> {
  const states = new Map([
    ['train', { state: { step, totals: { tokens: 1, bytes: 1, bits: 1 } } }],
    ['exam', { state: { since: 0, isDue } }],
  ]);
  return (await store.put({ reason: 'timer', states })).path;
}

async function until(isThere: () => boolean): Promise<void> {
  while (!isThere()) await told.promise;
}

async function recorded(): Promise<{ id: string; bitsPerByte: number | null | undefined }[]> {
  const records = await readTopic(job.log, 'evaluations');
  return records.map(({ value }) => {
    const { weights, texts }: Evaluation = JSON.parse(Buffer.from(value ?? []).toString());
    return { id: weights.id, bitsPerByte: texts[0]?.bitsPerByte };
  });
}

test('a checkpoint that is due gets one record, and others none', async () => {
  const evaluations = await begin();
  evaluations.offer(job, await checkpoint(10, false));
  evaluations.offer(job, await checkpoint(20, true));
  await until(() => events.length > 0);
  expect(events[0]).toMatchObject({ by: 'graph', weights: { id: '000000002', step: 20 } });
  expect(events[0]?.choices[0]).toMatchObject({ name: 'shipped', items: 3 });
  await evaluations.close();
  // A process that goes on finds the record.
  const again = await begin();
  const newer = await checkpoint(30, true);
  again.offer(job, newer);
  again.offer(job, newer);
  await until(() => events.length > 1);
  await again.close();
  expect(await recorded()).toEqual([
    { id: '000000002', bitsPerByte: 1 },
    { id: '000000003', bitsPerByte: 1 },
  ]);
  expect(warnings).toEqual([]);
});

test('what was due when the job ended is examined at its next start; the newest goes before those between', async () => {
  const held = new Deferred<void>();
  gate = held.promise;
  const evaluations = await begin();
  evaluations.offer(job, await checkpoint(10, true));
  const closed = evaluations.close();
  held.resolve();
  await closed;
  expect([events, warnings]).toEqual([[], []]);
  await checkpoint(20, true);
  await checkpoint(30, false);
  const again = await begin();
  await until(() => events.length > 0);
  await again.close();
  expect((await recorded()).map(({ id }) => id)).toEqual(['000000002']);
});

test('an exam that fails is said, and the next is held', async () => {
  const evaluations = await begin();
  isBroken = true;
  evaluations.offer(job, await checkpoint(10, true));
  await until(() => warnings.length > 0);
  expect(warnings[0]).toMatch(/000000001 could not be examined: .*SIGKILL/);
  isBroken = false;
  evaluations.offer(job, await checkpoint(20, true));
  await until(() => events.length > 0);
  evaluations.offer(job, join(folder, 'gone', '000000009'));
  await until(() => warnings.length > 1);
  await evaluations.close();
  expect((await recorded()).map(({ id }) => id)).toEqual(['000000002']);
});

test('a file that is not there is said before anything is trained', async () => {
  await rm(join(folder, 'held-out.txt'));
  await expect(begin()).rejects.toMatchObject({ code: 'config-invalid' });
});
