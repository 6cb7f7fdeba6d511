import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createTrainer } from '../../model/index.ts';
import type { ModelTrainer, StepInput, StoredSnapshot, TrainerSettings } from '../../model/index.ts';
import { tf } from '../../model/tf.ts';
import golden from './golden/loss-curve.json' with { type: 'json' };
import { randomBatch, tinyConfig, tinySettings } from './tiny-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-trainer-'));
afterAll(() => rmSync(folder, { recursive: true }));

function started(settings: TrainerSettings = tinySettings, from: StoredSnapshot | null = null): ModelTrainer {
  const trainer = createTrainer(settings);
  trainer.restore(from);
  return trainer;
}

/** Learnable batches: each token is followed by its double. */
function batchAt(step: number): StepInput {
  const { ids, ...rest } = randomBatch(step);
  return { ...rest, ids, targets: ids.map((id) => (2 * id + 1) % tinyConfig.vocabSize) };
}

function lossesOf(trainer: ModelTrainer, from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => trainer.step(batchAt(from + at)).loss);
}

/** A snapshot as a checkpoint store hands it back. */
async function stored(trainer: ModelTrainer, name: string): Promise<StoredSnapshot> {
  const directory = join(folder, name);
  mkdirSync(directory);
  const { state, files } = await trainer.snapshot(directory);
  const paths = Object.fromEntries(files.map((file) => [file.name, file.path]));
  return { state: JSON.parse(JSON.stringify(state)), files: paths };
}

function bytesOf(snapshot: StoredSnapshot): string[] {
  return Object.values(snapshot.files).map((path) => readFileSync(path).toString('base64'));
}

async function snapshotOf(name: string): Promise<StoredSnapshot> {
  const trainer = started();
  trainer.step(batchAt(0));
  const snapshot = await stored(trainer, name);
  trainer.dispose();
  return snapshot;
}

function errorOf(settings: TrainerSettings, snapshot: StoredSnapshot): unknown {
  const trainer = createTrainer(settings);
  try {
    trainer.restore(snapshot);
    return 'restored';
  } catch (error) {
    return error;
  } finally {
    trainer.dispose();
  }
}

describe('learning', () => {
  test('follows the golden loss curve', () => {
    const trainer = started();
    lossesOf(trainer, 0, golden.losses.length).forEach((loss, step) => {
      expect(Math.abs(loss - (golden.losses[step] ?? NaN))).toBeLessThan(golden.tolerance);
    });
    trainer.dispose();
  });

  test('overfits one sentence', () => {
    const sentence = [...Buffer.from('the stream turns the wheel, the wheel turns the stone.')];
    const model = { ...tinyConfig, vocabSize: 128, hiddenSize: 32, headDim: 8, intermediateSize: 64, maxContext: 64 };
    const trainer = started({ ...tinySettings, model });
    const batch = {
      rows: 1,
      context: sentence.length - 1,
      ids: Int32Array.from(sentence.slice(0, -1)),
      targets: Int32Array.from(sentence.slice(1)),
      lossMask: new Float32Array(sentence.length - 1).fill(1),
    };
    const losses = Array.from({ length: 120 }, () => trainer.step(batch).loss);
    expect(losses[0]).toBeGreaterThan(4);
    expect(losses.at(-1)).toBeLessThan(0.05);
    trainer.dispose();
  });

  test('gives the same bits from the same seed, and others from another', async () => {
    const runs: string[][] = [];
    for (const [run, seed] of [7, 7, 8].entries()) {
      const trainer = started({ ...tinySettings, seed });
      lossesOf(trainer, 0, 5);
      runs.push(bytesOf(await stored(trainer, `seed-${run}`)));
      trainer.dispose();
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).not.toEqual(runs[0]);
  });

  test('holds as many tensors after many steps as after one', async () => {
    const trainer = started();
    lossesOf(trainer, 0, 1);
    const before = tf.memory().numTensors;
    lossesOf(trainer, 1, 10);
    trainer.restore(await stored(trainer, 'flat'));
    expect(tf.memory().numTensors).toBe(before);
    trainer.dispose();
  });

  test('counts tokens, and warms up by them', () => {
    const trainer = started();
    const half = { ...batchAt(0), lossMask: Float32Array.from({ length: 16 }, (_, at) => at % 2) };
    expect(trainer.step(half)).toMatchObject({ step: 1, tokens: 8, skipped: false, lr: 0.02 * (8 / 64) });
    expect(trainer.step(batchAt(1))).toMatchObject({ step: 2, tokens: 16, lr: 0.02 * (24 / 64) });
    trainer.dispose();
  });
});

describe('snapshots', () => {
  test('go on to the bit', async () => {
    const never = started();
    const uninterrupted = lossesOf(never, 0, 12);

    const first = started();
    const before = lossesOf(first, 0, 5);
    const snapshot = await stored(first, 'middle');
    first.dispose();
    const second = started({ ...tinySettings, seed: 99 }, snapshot);
    expect([...before, ...lossesOf(second, 5, 12)]).toEqual(uninterrupted);
    expect(bytesOf(await stored(second, 'again'))).toEqual(bytesOf(await stored(never, 'whole')));
    never.dispose();
    second.dispose();
  });

  test('hold what steps are guarded by', async () => {
    // So tight that many steps are skipped.
    const guard = { sigma: 0.01, gradientSigma: 0.01, window: 3 };
    const stepsOf = (trainer: ModelTrainer, from: number, to: number): unknown[] =>
      Array.from({ length: to - from }, (_, at) => trainer.step(randomBatch(from + at), guard));
    const never = started();
    const uninterrupted = stepsOf(never, 0, 12);
    const first = started();
    const before = stepsOf(first, 0, 5);
    const second = started(tinySettings, await stored(first, 'guarded'));
    const after = stepsOf(second, 5, 12);
    expect([...before, ...after]).toEqual(uninterrupted);
    expect(after).toContainEqual(expect.objectContaining({ skipped: true, fault: 'loss-spike' }));
    for (const trainer of [never, first, second]) trainer.dispose();
  });

  test('of another model are refused, with the tensor and both shapes', async () => {
    const wider = { ...tinySettings, model: { ...tinyConfig, intermediateSize: 20 } };
    expect(errorOf(wider, await snapshotOf('narrow'))).toMatchObject({
      code: 'weights-mismatch',
      message: expect.stringMatching(/layers\.0\.mlp\.gate_proj\.weight" should be \[20, 8\], but is \[12, 8\]/),
    });
    const turned = { ...tinySettings, model: { ...tinyConfig, ropeTheta: 500 } };
    expect(errorOf(turned, await snapshotOf('theta'))).toMatchObject({
      code: 'weights-mismatch',
      message: expect.stringContaining('`ropeTheta` should be 500'),
    });
  });

  test('that are damaged are refused', async () => {
    const snapshot = await snapshotOf('damaged');
    truncateSync(snapshot.files['optimizer.safetensors'] ?? '', 100);
    expect(errorOf(tinySettings, snapshot)).toMatchObject({ code: 'weights-corrupt' });
    expect(errorOf(tinySettings, { ...snapshot, files: {} })).toMatchObject({ code: 'state-invalid' });
    expect(errorOf(tinySettings, { ...snapshot, state: { steps: -1 } })).toMatchObject({ code: 'state-invalid' });
  });

  test('leave a trainer that refused one as it was', () => {
    const trainer = started();
    const [first = NaN] = lossesOf(trainer, 0, 1);
    expect(() => trainer.restore({ state: null, files: {} })).toThrow('state is not valid');
    const other = started();
    expect(lossesOf(other, 0, 2)).toEqual([first, ...lossesOf(trainer, 1, 2)]);
    trainer.dispose();
    other.dispose();
  });
});

test('a step before the first restore is refused', () => {
  expect(() => createTrainer(tinySettings).step(batchAt(0))).toThrow(
    expect.objectContaining({ code: 'state-invalid' }),
  );
});

test('rows that do not divide into the parts are refused', () => {
  const trainer = started({ ...tinySettings, accumulate: 3 });
  expect(() => trainer.step(batchAt(0))).toThrow(expect.objectContaining({ code: 'shape-mismatch' }));
  trainer.dispose();
});
