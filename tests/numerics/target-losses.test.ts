import { describe, expect, test } from 'vitest';
import { createTrainer } from '../../model/index.ts';
import type { EngineSettings, StepInput } from '../../model/index.ts';
import { initialWeights } from '../../model/init.ts';
import { plainForward } from './plain-transformer.ts';
import { randomBatch, tinyConfig, tinySettings } from './tiny-model.ts';

const engines: readonly (readonly [string, EngineSettings])[] = [
  ['op by op', { mode: 'eager' }],
  ['compiled', { mode: 'compiled', precision: 'f32', xla: false }],
];

/** Two rows; some targets do not count. */
const batch: StepInput = {
  ...randomBatch(3),
  lossMask: Float32Array.from({ length: 16 }, (_, at) => (at % 5 === 0 ? 0 : 1)),
};

/** After the formulas: minus the logarithm of the softmax at the target, 0 where that does not count. */
function expectedLosses({ rows, context, ids, targets, lossMask }: StepInput): number[] {
  const weights = initialWeights(tinyConfig, tinySettings.seed);
  const logits = Array.from({ length: rows }, (_, row) =>
    plainForward(weights, tinyConfig, Array.from(ids.subarray(row * context, (row + 1) * context))),
  ).flat();
  return logits.map((row, at) => {
    const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
    return (lossMask[at] ?? 0) * (Math.log(total) - (row[targets[at] ?? 0] ?? Number.NaN));
  });
}

describe.each(engines)('each target has its loss: %s', (_name, engine) => {
  test.each([1, 2])('worked off in parts: %i', (accumulate) => {
    const trainer = createTrainer({ ...tinySettings, accumulate, engine });
    trainer.restore(null);
    const { loss, losses, tokens } = trainer.step(batch);
    trainer.dispose();
    const expected = expectedLosses(batch);
    expect(losses).toHaveLength(16);
    losses.forEach((value, at) => expect(value).toBeCloseTo(expected[at] ?? Number.NaN, 5));
    expect(losses.reduce((sum, value) => sum + value, 0) / tokens).toBeCloseTo(loss, 5);
  });
});
