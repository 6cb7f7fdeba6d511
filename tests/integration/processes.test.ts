import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { firstValueFrom, lastValueFrom, take, tap, toArray } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startSampler, startTrainer, startTuner } from '../../infra/index.ts';
import type { SamplerProcess, TrainerProcess } from '../../infra/index.ts';
import { isRunning } from '../../infra/process-identity.ts';
import { initialWeights } from '../../model/init.ts';
import { presets } from '../../model/presets.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import type { StepInput } from '../../model/types.ts';
import { writeWeights } from '../../model/weights/weights-file.ts';
import type { SampleDelta, SampleRequest } from '../../operators/index.ts';
import { Deferred } from '../support/settle.ts';

const { model, optimizer, schedule } = presets.nano;
const settings: TrainerSettings = { model, optimizer, schedule, seed: 7, accumulate: 1 };

let folder: string;
let lines: string[];
const logger = { info: () => undefined, warn: (line: string) => void lines.push(line) };
const started: (TrainerProcess | SamplerProcess)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-processes-'));
  lines = [];
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((process) => process.close()));
  await rm(folder, { recursive: true, force: true });
});

async function trainer(name = 'staging'): Promise<TrainerProcess> {
  const process = await startTrainer({ settings, stagingDir: join(folder, name), logger });
  started.push(process);
  return process;
}

async function sampler(): Promise<SamplerProcess> {
  const process = await startSampler({ logger });
  started.push(process);
  return process;
}

/** A batch that is another one for each number. */
function batchOf(number: number): StepInput {
  const rows = 2;
  const context = 16;
  const ids = Int32Array.from({ length: rows * context }, (_, at) => (at * 31 + number * 17) % model.vocabSize);
  const targets = ids.map((id) => (id + number) % model.vocabSize);
  return { rows, context, ids, targets, lossMask: new Float32Array(rows * context).fill(1) };
}

function kill(process: { readonly pid: number | undefined }, signal: NodeJS.Signals): void {
  globalThis.process.kill(process.pid ?? 0, signal);
}

it('a tuner process times engines, with errors of the model as they are', async () => {
  const tuner = startTuner(1, logger);
  try {
    const shape = { rows: 2, context: 16 };
    const one = { ...settings, model: { ...model, layers: 1 } };
    const engine = { mode: 'compiled', precision: 'f32', xla: false } as const;
    const { startMs, stepMs } = await tuner.measure({ settings: one, engine, shape });
    expect(stepMs).toBeGreaterThan(0);
    expect(startMs).toBeGreaterThan(stepMs);
    const bad = tuner.measure({ settings: { ...one, accumulate: 4 }, engine, shape });
    await expect(bad).rejects.toMatchObject({ code: 'shape-mismatch' });
  } finally {
    await tuner.close();
  }
});

describe('a trainer process', () => {
  it('goes on bit by bit in another process after a snapshot', async () => {
    const whole = await trainer('whole');
    await whole.restore(null);
    const expected = await Promise.all([1, 2, 3, 4].map((number) => whole.step(batchOf(number))));

    const first = await trainer('first');
    await first.restore(null);
    await Promise.all([1, 2].map((number) => first.step(batchOf(number))));
    const snapshot = await first.snapshot();
    kill(first, 'SIGKILL');
    const second = await trainer('second');
    await second.restore(snapshot);
    const resumed = await Promise.all([3, 4].map((number) => second.step(batchOf(number))));

    expect(resumed).toEqual(expected.slice(2));
  });

  it('carries out calls in the order in which they were made, without waiting in between', async () => {
    const process = await trainer();
    const [, one, snapshot, exam, two] = await Promise.all([
      process.restore(null),
      process.step(batchOf(1)),
      process.snapshot(),
      process.evaluate(batchOf(2)),
      process.step(batchOf(2)),
    ]);
    expect([one.step, two.step]).toEqual([1, 2]);
    expect(exam).toBeCloseTo(two.loss, 5);
    expect(snapshot.state).toMatchObject({ steps: 1 });
  });

  it('keeps its staging directory clean', async () => {
    await trainer();
    await writeFile(join(folder, 'staging', 'left by a dead one'), '');
    const process = await trainer();
    await process.restore(null);
    const { files = [] } = await process.snapshot();
    for (const { path } of files) await rm(path);
    await process.snapshot();
    expect(await readdir(join(folder, 'staging'))).toHaveLength(1);
  });

  it('rejects with the codes of the model, and goes on', async () => {
    const bad = { ...settings, seed: 0.5 };
    await expect(startTrainer({ settings: bad, stagingDir: join(folder, 'bad'), logger })).rejects.toMatchObject({
      name: 'MillraceError',
      code: 'config-invalid',
    });
    const process = await trainer();
    await process.restore(null);
    await expect(process.step({ ...batchOf(1), rows: 3 })).rejects.toMatchObject({ code: 'shape-mismatch' });
    await expect(process.restore({ state: 'none of mine' })).rejects.toMatchObject({ code: 'state-invalid' });
    expect(await process.step(batchOf(1))).toMatchObject({ step: 1 });
  });

  it('rejects calls under way and later ones when it is killed, and says what ended it', async () => {
    const process = await trainer();
    await process.restore(null);
    const steps = [1, 2, 3].map((number) => process.step(batchOf(number)).catch((error: unknown) => error));
    kill(process, 'SIGKILL');
    const outcomes = await Promise.all([...steps.slice(-1), process.snapshot().catch((error: unknown) => error)]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ code: 'process-died', message: expect.stringContaining('SIGKILL') });
    }
    await expect(process.step(batchOf(4))).rejects.toMatchObject({ code: 'process-died' });
  });

  it('lets the signals of a terminal pass, and ends when it is closed', async () => {
    const process = await trainer();
    await process.restore(null);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) kill(process, signal);
    expect(await process.step(batchOf(1))).toMatchObject({ step: 1 });
    await process.close();
    expect(isRunning({ pid: process.pid ?? 0, startTicks: null })).toBe(false);
    await expect(process.step(batchOf(2))).rejects.toMatchObject({ code: 'process-died' });
    expect(lines).toEqual([]);
  });
});

const request: SampleRequest = {
  prompt: Int32Array.of(1, 2, 3),
  maxTokens: 8,
  temperature: 1,
  topK: 0,
  topP: 1,
  seed: 5,
  stopTokens: [],
};

/** Weights of the nano model after so many steps. */
async function weightsAfter(steps: number): Promise<string> {
  const process = await trainer(`after-${steps}`);
  await process.restore(null);
  for (let step = 1; step <= steps; step++) await process.step(batchOf(step));
  const { files = [] } = await process.snapshot();
  await process.close();
  return files.find(({ name }) => name === 'weights.safetensors')?.path ?? '';
}

function tokensOf(deltas: readonly SampleDelta[]): number[] {
  return deltas.flatMap(({ tokens }) => Array.from(tokens));
}

describe('a sampler process', () => {
  it('waits for weights, and answers many at once with the same tokens for the same seed', async () => {
    const process = await sampler();
    const answers = [request, request, { ...request, seed: 6 }].map((each) =>
      lastValueFrom(process.sample(each).pipe(toArray())),
    );
    await sleep(50);
    await process.load({ id: 'cut-1', step: 1, path: await weightsAfter(1) });
    const [one = [], same = [], other = []] = await Promise.all(answers);
    expect(tokensOf(one)).toHaveLength(8);
    expect(tokensOf(same)).toEqual(tokensOf(one));
    expect(tokensOf(other)).not.toEqual(tokensOf(one));
    expect(one.map(({ finish }) => finish)).toEqual([...Array<null>(7).fill(null), 'length']);
    expect(one[0]?.weights).toEqual({ id: 'cut-1', step: 1 });
  });

  it('takes new weights, and speaks on with the old ones when a file is bad', async () => {
    const process = await sampler();
    await process.load({ id: 'cut-1', step: 1, path: await weightsAfter(1) });
    const bad = join(folder, 'bad.safetensors');
    await writeFile(bad, 'not weights');
    await expect(process.load({ id: 'bad', step: 2, path: bad })).rejects.toMatchObject({ code: 'weights-corrupt' });
    const old = await lastValueFrom(process.sample(request));
    expect(old).toMatchObject({ weights: { id: 'cut-1', step: 1 }, finish: 'length' });
    await process.load({ id: 'cut-2', step: 3, path: await weightsAfter(3) });
    expect(await lastValueFrom(process.sample(request))).toMatchObject({ weights: { id: 'cut-2', step: 3 } });
  });

  it('lets an answer end on the weights that it began with, while others speak with new ones', async () => {
    const process = await sampler();
    const [old = '', fresh = ''] = [1, 2].map((seed) => {
      const path = join(folder, `${seed}.safetensors`);
      writeWeights(path, { config: model, weights: initialWeights({ ...model, initializerRange: 0.3 }, seed) });
      return path;
    });
    await process.load({ id: 'cut-1', step: 1, path: old });
    const asked: SampleRequest = { ...request, temperature: 0, maxTokens: 60 };
    const alone = tokensOf(await lastValueFrom(process.sample(asked).pipe(toArray())));
    const begun = new Deferred<void>();
    const kept = process.sample({ ...asked, onNewWeights: 'finish' }).pipe(
      tap(() => begun.resolve()),
      toArray(),
    );
    const keeping = lastValueFrom(kept);
    await begun.promise;
    // While two sets are held, the third waits.
    const loads = ['cut-2', 'cut-3'].map((id) => process.load({ id, step: 3, path: fresh }));
    const deltas = await keeping;
    expect(tokensOf(deltas)).toEqual(alone);
    expect(new Set(deltas.map(({ weights }) => weights.id))).toEqual(new Set(['cut-1']));
    await Promise.all(loads);
    const after = await lastValueFrom(process.sample(asked).pipe(toArray()));
    expect(new Set(after.map(({ weights }) => weights.id))).toEqual(new Set(['cut-3']));
    expect(tokensOf(after)).not.toEqual(alone);
  });

  it('cancels what nobody listens to any more, and refuses what cannot be answered', async () => {
    const process = await sampler();
    await process.load({ id: 'cut-1', step: 1, path: await weightsAfter(1) });
    await lastValueFrom(process.sample({ ...request, maxTokens: 60 }).pipe(take(2)));
    await expect(firstValueFrom(process.sample({ ...request, topP: 7 }))).rejects.toMatchObject({
      code: 'input-invalid',
    });
    expect(tokensOf(await lastValueFrom(process.sample(request).pipe(toArray())))).toHaveLength(8);
  });

  it('errors the answers under way when it is killed', async () => {
    const process = await sampler();
    const answer = lastValueFrom(process.sample(request));
    kill(process, 'SIGKILL');
    await expect(answer).rejects.toMatchObject({ code: 'process-died' });
    await expect(lastValueFrom(process.sample(request))).rejects.toMatchObject({ code: 'process-died' });
  });
});

it('leaves no process behind when the parent is killed, wherever that was started', async () => {
  const script = fileURLToPath(new URL('processes/start-trainer.ts', import.meta.url));
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const parent = spawn(process.execPath, ['--import', tsx, script, join(folder, 'staging')], {
    cwd: tmpdir(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line]: string[] = await once(createInterface({ input: parent.stdout }), 'line');
  const children = (line ?? '').split(' ').map((pid) => ({ pid: Number(pid), startTicks: null }));
  expect(children.map(isRunning)).toEqual([true, true]);
  parent.kill('SIGKILL');
  await expect.poll(() => children.map(isRunning), { timeout: 10_000 }).toEqual([false, false]);
});
