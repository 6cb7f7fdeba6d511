import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createTrainer, presets } from '../../model/index.ts';
import type { ModelTrainer, StoredSnapshot, TrainerSettings } from '../../model/index.ts';
import { muon, orthogonalize } from '../../model/muon.ts';
import { Random } from '../../model/random.ts';
import { tf } from '../../model/tf.ts';
import { readSafetensors } from '../../model/weights/safetensors.ts';
import { randomBatch, tinyConfig, tinySettings } from './tiny-model.ts';

function randomMatrix(rows: number, columns: number, seed: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: rows * columns }, () => random.normal());
}

/** Length of the matrix's product with a vector: between its smallest and its greatest singular value, of unit vectors. */
function stretch(matrix: number[], columns: number, vector: readonly number[]): number {
  const rows = matrix.length / columns;
  const product = Array.from({ length: rows }, (_, row) =>
    vector.reduce((sum, value, column) => sum + value * (matrix[row * columns + column] ?? Number.NaN), 0),
  );
  return Math.hypot(...product) / Math.hypot(...vector);
}

/** What becomes of a singular value. */
function fiveRounds(value: number): number {
  return Array.from({ length: 5 }).reduce<number>((x) => 3.4445 * x - 4.775 * x ** 3 + 2.0315 * x ** 5, value);
}

describe('orthogonalizing', () => {
  test.each([
    ['square', 6, 6],
    ['tall', 24, 6],
  ])('brings every direction of a %s matrix to about one length', (_name, rows, columns) => {
    const values = randomMatrix(rows, columns, 1);
    const result = [...orthogonalize(tf.tensor2d(values, [rows, columns])).dataSync()];
    for (let seed = 2; seed < 30; seed++) {
      const length = stretch(result, columns, randomMatrix(columns, 1, seed));
      expect(length).toBeGreaterThan(0.5);
      expect(length).toBeLessThan(1.3);
    }
  });

  test('treats a wide matrix as the tall one on its side', () => {
    const tall = tf.tensor2d(randomMatrix(12, 4, 1), [12, 4]);
    const wide = orthogonalize(tall.transpose()).transpose().dataSync();
    orthogonalize(tall)
      .dataSync()
      .forEach((value, at) => expect(value).toBeCloseTo(wide[at] ?? Number.NaN, 5));
  });

  // For the diagonal of 3 and 4, the norm is 5: 0.6 and 0.8 go through the polynomial five times.
  test('follows the polynomial done by hand', () => {
    const result = orthogonalize(tf.tensor2d([3, 0, 0, 4], [2, 2])).dataSync();
    [fiveRounds(0.6), 0, 0, fiveRounds(0.8)].forEach((expected, at) => expect(result[at]).toBeCloseTo(expected, 5));
  });
});

describe('Muon', () => {
  // A matrix of one column has one singular value, so that its direction is the unit vector times what 1 becomes.
  test('moves by the rate along the mean of gradients, whatever their length, and decays', () => {
    const one = fiveRounds(1);
    const state = { parameter: tf.tensor2d([[1], [2]]), mean: tf.zeros([2, 1]) };
    const settings = { momentum: 0.9, weightDecay: 0.5 };
    for (const length of [1, 100]) {
      const gradient = tf.tensor2d([[0.6 * length], [0.8 * length]]);
      const next = muon(state, gradient, tf.scalar(0.1), settings);
      const moved = next.parameter.dataSync();
      expect(moved[0]).toBeCloseTo(1 - 0.1 * (0.6 * one * Math.SQRT2 + 0.5), 4);
      expect(moved[1]).toBeCloseTo(2 - 0.1 * (0.8 * one * Math.SQRT2 + 1), 4);
      expect(next.mean.dataSync()[1]).toBeCloseTo(0.08 * length, 5);
    }
  });
});

function startedWith(settings: TrainerSettings, from: StoredSnapshot | null = null): ModelTrainer {
  const trainer = createTrainer(settings);
  trainer.restore(from);
  return trainer;
}

/** Learns to double each id. */
function steps(trainer: ModelTrainer, from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => {
    const { ids, ...batch } = randomBatch(from + at);
    return trainer.step({ ...batch, ids, targets: ids.map((id) => (2 * id) % tinyConfig.vocabSize) }).loss;
  });
}

describe('a model whose hidden matrices Muon moves', () => {
  const settings: TrainerSettings = {
    ...tinySettings,
    model: { ...tinyConfig, activation: 'relu2', logitSoftCap: 30, zeroInit: true },
    optimizer: presets['fast-nano'].optimizer,
  };
  const compiled = { ...settings, engine: { mode: 'compiled', precision: 'f32', xla: false } } as const;
  const folder = mkdtempSync(join(tmpdir(), 'millrace-muon-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const stored = async (trainer: ModelTrainer, name: string): Promise<StoredSnapshot> => {
    const directory = join(folder, name);
    mkdirSync(directory);
    const { state, files } = await trainer.snapshot(directory);
    return { state, files: Object.fromEntries(files.map((file) => [file.name, file.path])) };
  };

  test('learns, op by op as compiled', () => {
    const [eager = [], graph = []] = [settings, compiled].map((given) => {
      const trainer = startedWith(given);
      const losses = steps(trainer, 0, 80);
      trainer.dispose();
      return losses;
    });
    expect(eager[0]).toBeCloseTo(Math.log(tinyConfig.vocabSize), 5);
    expect(eager.at(-1)).toBeLessThan(1);
    eager.forEach((loss, at) => expect(graph[at]).toBeCloseTo(loss, 2));
  });

  test('goes on to the bit, and keeps no mean of squares for those matrices', async () => {
    const never = startedWith(compiled);
    const whole = steps(never, 0, 12);
    const first = startedWith(compiled);
    const before = steps(first, 0, 5);
    const snapshot = await stored(first, 'middle');
    const second = startedWith(compiled, snapshot);
    expect([...before, ...steps(second, 5, 12)]).toEqual(whole);
    const names = [...readSafetensors(snapshot.files['optimizer.safetensors'] ?? '').tensors.keys()];
    expect(names).toContain('model.layers.0.mlp.up_proj.weight.exp_avg');
    expect(names).not.toContain('model.layers.0.mlp.up_proj.weight.exp_avg_sq');
    expect(names).toContain('lm_head.weight.exp_avg_sq');
    for (const trainer of [never, first, second]) trainer.dispose();
  });

  test('goes on from where AdamW came to, but not the other way round', async () => {
    const byAdamW = { ...settings, optimizer: tinySettings.optimizer };
    const first = startedWith(byAdamW);
    const [begin = NaN] = steps(first, 0, 5);
    const second = startedWith(settings, await stored(first, 'adamw'));
    expect(Math.min(...steps(second, 5, 80))).toBeLessThan(begin / 2);
    const snapshot = await stored(second, 'muon');
    expect(() => startedWith(byAdamW, snapshot)).toThrow(expect.objectContaining({ code: 'weights-mismatch' }));
    for (const trainer of [first, second]) trainer.dispose();
  });
});
