import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createSampler, createTrainer, growthBetween, presets } from '../../model/index.ts';
import type { ModelConfig, ModelTrainer, StepInput, StoredSnapshot, TrainerSettings } from '../../model/index.ts';
import { tinyConfig, tinySettings, randomBatch } from './tiny-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-growth-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Learnable batches: each token is followed by its double. */
function batchAt(seed: number, { vocabSize, maxContext }: ModelConfig): StepInput {
  const { ids, ...rest } = randomBatch(seed, { rows: 4, context: Math.min(16, maxContext), vocabSize });
  return { ...rest, ids, targets: ids.map((id) => (2 * id + 1) % vocabSize) };
}

function started(settings: TrainerSettings, from: StoredSnapshot | null): ModelTrainer {
  const trainer = createTrainer(settings);
  trainer.restore(from);
  return trainer;
}

let snapshots = 0;

async function stored(trainer: ModelTrainer): Promise<StoredSnapshot> {
  const directory = join(folder, String(snapshots++));
  mkdirSync(directory);
  const { state, files } = await trainer.snapshot(directory);
  return { state, files: Object.fromEntries(files.map((file) => [file.name, file.path])) };
}

/** In the proportions of the presets. */
const small: ModelConfig = {
  ...presets.nano.model,
  vocabSize: 64,
  hiddenSize: 48,
  layers: 2,
  heads: 3,
  kvHeads: 3,
  headDim: 16,
  intermediateSize: 96,
};
const grouped: ModelConfig = { ...tinyConfig, heads: 4, kvHeads: 2 };

const GROWTHS: readonly (readonly [what: string, from: ModelConfig, to: Partial<ModelConfig>])[] = [
  ['deeper', small, { layers: 4 }],
  ['a wider MLP', small, { intermediateSize: 160 }],
  ['more heads', small, { heads: 5, kvHeads: 5 }],
  ['a wider residual stream', small, { hiddenSize: 80 }],
  ['all at once', small, { layers: 3, intermediateSize: 128, heads: 4, kvHeads: 4, hiddenSize: 64 }],
  ['more queries a key, with an own head', grouped, { heads: 8, hiddenSize: 12 }],
  ['more groups of queries', grouped, { heads: 8, kvHeads: 4 }],
  ['without QK-norm, tied', { ...tinyConfig, qkNorm: false, tieEmbeddings: true }, { layers: 3, hiddenSize: 16 }],
];

describe('a model that is grown', () => {
  test.each(GROWTHS)('%s: computes what it computed, and goes on learning', async (_what, from, change) => {
    const settings = {
      ...tinySettings,
      model: from,
      ema: 0.9,
      optimizer: { ...presets.nano.optimizer, learningRate: 0.003 },
    };
    const old = started(settings, null);
    for (let step = 0; step < 20; step++) old.step(batchAt(step, from));
    const exam = batchAt(1000, from);
    const before = old.evaluate(exam);
    const snapshot = await stored(old);

    const large = started({ ...settings, model: { ...from, ...change }, grows: true }, snapshot);
    expect(Math.abs(large.evaluate(exam) - before)).toBeLessThan(1e-3);
    // The exam before the next lesson is the same, and the optimizer takes the step that it would have taken, nearly.
    const [oldStep, largeStep] = [old.step(batchAt(20, from)), large.step(batchAt(20, from))];
    expect(Math.abs(largeStep.loss - oldStep.loss)).toBeLessThan(1e-3);
    expect(largeStep).toMatchObject({ step: 21, skipped: false, lr: oldStep.lr });
    const after = Array.from({ length: 20 }, (_, at) => large.step(batchAt(21 + at, from)));
    expect(after.every(({ loss, skipped }) => Number.isFinite(loss) && !skipped)).toBe(true);
    const atTheEnd = large.evaluate(exam);
    expect(atTheEnd).toBeLessThan(before);

    // What is new takes part: its zero projections have moved. And it is a checkpoint like any other.
    const again = started({ ...settings, model: { ...from, ...change } }, await stored(large));
    expect(again.evaluate(exam)).toBe(atTheEnd);
    const sampler = createSampler();
    sampler.load(snapshot.files['weights.safetensors'] ?? '');
    sampler.submit('one', {
      prompt: Int32Array.of(1, 2),
      maxTokens: 6,
      seed: 1,
      stopTokens: [],
      temperature: 0,
      topK: 0,
      topP: 1,
    });
    sampler.step();
    sampler.load((await stored(again)).files['weights.safetensors'] ?? '');
    expect(sampler.step().flatMap(({ tokens }) => [...tokens])).toHaveLength(1);
    sampler.dispose();
    for (const trainer of [old, large, again]) trainer.dispose();
  });

  test('grows alike each time that it is restored', async () => {
    const small = started(tinySettings, null);
    small.step(batchAt(0, tinyConfig));
    const snapshot = await stored(small);
    const losses = Array.from({ length: 2 }, () => {
      const large = started(
        { ...tinySettings, model: { ...tinyConfig, layers: 4, hiddenSize: 16 }, grows: true },
        snapshot,
      );
      const seen = Array.from({ length: 3 }, (_, at) => large.step(batchAt(at, tinyConfig)).loss);
      large.dispose();
      return seen;
    });
    expect(losses[1]).toEqual(losses[0]);
    small.dispose();
  });
});

const REFUSED: readonly (readonly [what: string, change: Partial<ModelConfig>, reason: string])[] = [
  ['fewer layers', { layers: 1 }, 'layers 2 → 1 would throw away what was learnt'],
  ['larger heads', { headDim: 8 }, 'headDim 4 → 8 changes what is computed: rotary embedding'],
  ['one matrix for two', { tieEmbeddings: true }, 'tieEmbeddings false → true'],
  ['keys for some queries only', { kvHeads: 4 }, 'kvHeads 2 → 4 would give queries other keys'],
  ['other tokens', { vocabSize: 18 }, 'vocabSize 17 → 18'],
];

test.each(REFUSED)('%s are no growth, and the reason is said', async (_what, change, reason) => {
  const to = { ...tinyConfig, ...change };
  expect(growthBetween(tinyConfig, to).refused).toContain(reason);
  const small = started(tinySettings, null);
  const snapshot = await stored(small);
  expect(() => started({ ...tinySettings, model: to, grows: true }, snapshot)).toThrow(
    expect.objectContaining({ code: 'weights-mismatch' }),
  );
  small.dispose();
});

test('the same size is no growth', () => {
  expect(growthBetween(tinyConfig, { ...tinyConfig })).toEqual({ changes: [], refused: null });
});
