import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createTrainer, presets } from '../../model/index.ts';
import type { EngineSettings, ModelTrainer, StepInput, StoredSnapshot, TrainerSettings } from '../../model/index.ts';
import { tf } from '../../model/tf.ts';
import { randomBatch, tinySettings, variants } from './tiny-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-compiled-'));
afterAll(() => rmSync(folder, { recursive: true }));

const eager: EngineSettings = { mode: 'eager' };
const compiled: EngineSettings = { mode: 'compiled', precision: 'f32', xla: false };

/** Large enough that chains are compiled, small enough to be so within seconds. */
const nanoLayer: TrainerSettings = {
  ...tinySettings,
  model: { ...presets.nano.model, layers: 1 },
  optimizer: { ...presets.nano.optimizer, learningRate: 2e-3 },
};

function started(engine: EngineSettings, settings = tinySettings, from: StoredSnapshot | null = null): ModelTrainer {
  const trainer = createTrainer({ ...settings, engine });
  trainer.restore(from);
  return trainer;
}

function batchAt(step: number, { model } = tinySettings): StepInput {
  const { ids, ...rest } = randomBatch(step, { vocabSize: model.vocabSize, context: model.maxContext / 2 });
  return { ...rest, ids, targets: ids.map((id) => (2 * id + 1) % model.vocabSize) };
}

function lossesOf(trainer: ModelTrainer, from: number, to: number, settings = tinySettings): number[] {
  return Array.from({ length: to - from }, (_, at) => trainer.step(batchAt(from + at, settings)).loss);
}

function run(engine: EngineSettings, steps: number, settings = tinySettings): number[] {
  const trainer = started(engine, settings);
  const losses = lossesOf(trainer, 0, steps, settings);
  trainer.dispose();
  return losses;
}

async function stored(trainer: ModelTrainer, name: string): Promise<StoredSnapshot> {
  const directory = join(folder, name);
  mkdirSync(directory);
  const { state, files } = await trainer.snapshot(directory);
  return { state, files: Object.fromEntries(files.map((file) => [file.name, file.path])) };
}

function bytesOf({ files }: StoredSnapshot): string[] {
  return Object.values(files).map((path) => readFileSync(path).toString('base64'));
}

function greatestDifference(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((value, at) => Math.abs(value - (b[at] ?? Number.NaN))));
}

describe('losses', () => {
  test.each(variants)('are those of the eager trainer over 50 steps: $name', ({ config }) => {
    const settings = { ...tinySettings, model: config };
    expect(greatestDifference(run(eager, 50, settings), run(compiled, 50, settings))).toBeLessThan(1e-4);
  });

  test('are, with chains compiled by XLA and with accumulation, those of the eager trainer', () => {
    const settings = { ...nanoLayer, accumulate: 2 };
    const xla = run({ ...compiled, xla: true }, 10, settings);
    expect(greatestDifference(run(eager, 10, settings), xla)).toBeLessThan(1e-4);
  });

  test('in bfloat16 follow those of the eager trainer', () => {
    const bf16 = run({ mode: 'compiled', precision: 'bf16', xla: true }, 10, nanoLayer);
    expect(greatestDifference(run(eager, 10, nanoLayer), bf16)).toBeLessThan(0.02);
  });

  test('with and without document borders, and at other lengths, come from one set of weights', () => {
    const engines = [started(eager), started(compiled)];
    const segments = Int32Array.from({ length: 16 }, (_, at) => (at % 8 < 3 ? 0 : 1));
    const inputs = [
      batchAt(0),
      { ...batchAt(1), segments },
      randomBatch(2, { context: 5 }),
      { ...batchAt(3), segments },
    ];
    const [expected = [], actual = []] = engines.map((trainer) => inputs.map((input) => trainer.step(input).loss));
    expect(greatestDifference(expected, actual)).toBeLessThan(1e-5);
    for (const trainer of engines) trainer.dispose();
  });
});

test('a step whose loss is not finite leaves the weights to the bit', async () => {
  const trainer = started(compiled);
  lossesOf(trainer, 0, 2);
  const before = bytesOf(await stored(trainer, 'before'));
  const poisoned = { ...batchAt(2), lossMask: new Float32Array(16).fill(Number.POSITIVE_INFINITY) };
  expect(trainer.step(poisoned)).toMatchObject({ skipped: true, fault: 'non-finite-loss' });
  expect(bytesOf(await stored(trainer, 'after'))).toEqual(before);
  expect(trainer.step(batchAt(3)).skipped).toBe(false);
  trainer.dispose();
});

describe('snapshots', () => {
  test.each([
    { from: eager, to: compiled },
    { from: compiled, to: eager },
  ])('of the $from.mode trainer are gone on with by the $to.mode one', async ({ from, to }) => {
    const first = started(from);
    const before = lossesOf(first, 0, 5);
    const snapshot = await stored(first, `${from.mode}-first`);
    first.dispose();
    const second = started(to, tinySettings, snapshot);
    expect(greatestDifference([...before, ...lossesOf(second, 5, 10)], run(from, 10))).toBeLessThan(1e-5);
    second.dispose();
  });

  test.each([
    { engine: compiled, settings: tinySettings },
    { engine: { mode: 'compiled', precision: 'bf16', xla: true }, settings: nanoLayer },
  ] as const)('go on to the bit: $engine', async ({ engine, settings }) => {
    const never = started(engine, settings);
    const uninterrupted = lossesOf(never, 0, 12, settings);
    const first = started(engine, settings);
    const before = lossesOf(first, 0, 5, settings);
    const name = `${engine.precision}-${engine.xla}`;
    const snapshot = await stored(first, `${name}-middle`);
    first.dispose();
    const second = started(engine, settings, snapshot);
    expect([...before, ...lossesOf(second, 5, 12, settings)]).toEqual(uninterrupted);
    expect(bytesOf(await stored(second, `${name}-again`))).toEqual(bytesOf(await stored(never, `${name}-whole`)));
    never.dispose();
    second.dispose();
  });
});

test('holds as many tensors after many steps as after one, and none after its end', () => {
  const atFirst = tf.memory().numTensors;
  const trainer = started(compiled);
  lossesOf(trainer, 0, 1);
  expect(tf.memory().numTensors).toBe(atFirst);
  lossesOf(trainer, 1, 20);
  expect(tf.memory().numTensors).toBe(atFirst);
  trainer.dispose();
  expect(tf.memory().numTensors).toBe(atFirst);
});
