import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createTrainer, readWeights } from '../../model/index.ts';
import type { EngineSettings, ModelTrainer, StoredSnapshot, TrainerSettings } from '../../model/index.ts';
import { tf } from '../../model/tf.ts';
import { randomBatch, tinySettings } from './tiny-model.ts';

/* What is computed and saved beside the training step: the weights' running mean, evaluations, snapshots under way. */

const folder = mkdtempSync(join(tmpdir(), 'millrace-beside-'));
afterAll(() => rmSync(folder, { recursive: true }));

const engines: readonly EngineSettings[] = [
  { mode: 'eager' },
  { mode: 'compiled', precision: 'f32', xla: false },
  { mode: 'compiled', precision: 'bf16', xla: true },
];
const DECAY = 0.6;
let directories = 0;

function started(settings: Partial<TrainerSettings>, from: StoredSnapshot | null = null): ModelTrainer {
  const trainer = createTrainer({ ...tinySettings, ...settings });
  trainer.restore(from);
  return trainer;
}

async function stored(trainer: ModelTrainer): Promise<StoredSnapshot> {
  const directory = join(folder, String(directories++));
  mkdirSync(directory);
  const { state, files } = await trainer.snapshot(directory);
  return { state, files: Object.fromEntries(files.map(({ name, path }) => [name, path])) };
}

function valuesOf({ files }: StoredSnapshot, name: string): number[] {
  const { weights } = readWeights(files[name] ?? '');
  return [...weights.values()].flatMap((values) => [...values]);
}

function bytesOf({ files }: StoredSnapshot): string[] {
  return Object.values(files).map((path) => readFileSync(path).toString('base64'));
}

describe.each(engines)('%j', (engine) => {
  describe("the weights' running mean", () => {
    test('is what the mean of their history is', async () => {
      const trainer = started({ engine, ema: DECAY });
      let mean = valuesOf(await stored(trainer), 'weights.safetensors');
      for (let update = 0; update < 8; update++) {
        trainer.step(randomBatch(update));
        const decay = Math.min(DECAY, (1 + update) / (10 + update));
        const weights = valuesOf(await stored(trainer), 'weights.safetensors');
        mean = mean.map((value, at) => decay * value + (1 - decay) * (weights[at] ?? Number.NaN));
      }
      const saved = valuesOf(await stored(trainer), 'ema.safetensors');
      expect(Math.max(...saved.map((value, at) => Math.abs(value - (mean[at] ?? Number.NaN))))).toBeLessThan(2e-6);
      trainer.dispose();
    });

    test('goes on to the bit after a snapshot, begins with the weights where there was none, and may be given up', async () => {
      const whole = started({ engine, ema: DECAY });
      for (let step = 0; step < 3; step++) whole.step(randomBatch(step));
      const middle = await stored(whole);
      const resumed = started({ engine, ema: DECAY }, middle);
      const without = started({ engine }, middle);
      for (const trainer of [whole, resumed, without]) trainer.step(randomBatch(3));
      expect(bytesOf(await stored(resumed))).toEqual(bytesOf(await stored(whole)));
      const given = await stored(without);
      expect(Object.keys(given.files)).toEqual(['weights.safetensors', 'optimizer.safetensors']);
      const again = started({ engine, ema: DECAY }, given);
      const begun = await stored(again);
      expect(valuesOf(begun, 'ema.safetensors')).toEqual(valuesOf(begun, 'weights.safetensors'));
      for (const trainer of [whole, resumed, without, again]) trainer.dispose();
    });

    test('changes nothing of the weights', async () => {
      const trainers = [started({ engine }), started({ engine, ema: DECAY })];
      const [without, beside] = trainers.map((trainer) =>
        [0, 1, 2, 3].map((step) => trainer.step(randomBatch(step)).loss),
      );
      expect(beside).toEqual(without);
      for (const trainer of trainers) trainer.dispose();
    });
  });

  test('an evaluation gives the loss that the step then reports, and changes nothing', async () => {
    const trainer = started({ engine });
    trainer.step(randomBatch(0));
    const segments = Int32Array.from({ length: 16 }, (_, at) => (at % 8 < 3 ? 0 : 1));
    const lossMask = Float32Array.from({ length: 16 }, (_, at) => at % 2);
    const inputs = [randomBatch(1), { ...randomBatch(2), segments }, { ...randomBatch(3, { context: 5 }) }];
    for (const input of [...inputs, { ...randomBatch(4), lossMask }]) {
      const before = await stored(trainer);
      const tensors = tf.memory().numTensors;
      const loss = trainer.evaluate(input);
      expect(tf.memory().numTensors).toBe(tensors);
      const after = await stored(trainer);
      expect([after.state, bytesOf(after)]).toEqual([before.state, bytesOf(before)]);
      expect(loss).toBeCloseTo(trainer.step(input).loss, 5);
    }
    expect(() => trainer.evaluate({ ...randomBatch(1), rows: 3 })).toThrow(/`ids` has 16 entries/);
    trainer.dispose();
  });

  test('a snapshot is of the moment of its call, whatever is trained while it is written', async () => {
    const [calm, busy] = [started({ engine, ema: DECAY }), started({ engine, ema: DECAY })];
    for (const trainer of [calm, busy]) trainer.step(randomBatch(0));
    const [expected, writing] = [await stored(calm), stored(busy)];
    for (let step = 1; step < 6; step++) busy.step(randomBatch(step));
    const written = await writing;
    expect([written.state, bytesOf(written)]).toEqual([expected.state, bytesOf(expected)]);
    for (const trainer of [calm, busy]) trainer.dispose();
  });

  test('a snapshot that can not be written rejects, leaves no tensors, and training goes on', async () => {
    const trainer = started({ engine });
    const tensors = tf.memory().numTensors;
    await expect(trainer.snapshot(join(folder, 'missing', 'folder'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(trainer.step(randomBatch(0))).toMatchObject({ step: 1, skipped: false, fault: null });
    trainer.dispose();
  });
});
