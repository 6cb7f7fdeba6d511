import { expect, test } from 'vitest';
import { compiledRunner } from '../../model/compiled-runner.ts';
import { parameterShapes } from '../../model/config.ts';
import { eagerRunner } from '../../model/eager-runner.ts';
import { createTrainer } from '../../model/index.ts';
import { initialWeights } from '../../model/init.ts';
import { NO_LIMITS } from '../../model/spike-guard.ts';
import { StateCapture } from '../../model/state-capture.ts';
import type { ModelState, StatePart, StepRunner, Values } from '../../model/step-runner.ts';
import { randomBatch, tinyConfig, tinySettings } from './tiny-model.ts';

function stateWith(change: (weights: Map<string, Float32Array>) => void): ModelState {
  const weights = initialWeights(tinyConfig, 7);
  change(weights);
  const moments = new Map([...weights].map(([name, values]) => [name, values.map((value) => value * value)]));
  return { weights, mean: moments, meanSquare: moments, ema: moments };
}

const scalars = { lr: 0.1, biasCorrection1: 0.5, biasCorrection2: 0.5, emaDecay: 0.5, ...NO_LIMITS };

const settings = { ...tinySettings, ema: 0.5 };
const runners = [
  ['op by op', () => eagerRunner(settings)],
  ['compiled', () => compiledRunner()(settings)],
  ['compiled in bfloat16 with XLA', () => compiledRunner({ precision: 'bf16', xla: true })(settings)],
] as const;

function readState(runner: StepRunner): ModelState {
  const capture = runner.capture();
  const read = (part: StatePart): Values =>
    new Map([...parameterShapes(tinyConfig).keys()].map((name) => [name, capture.take(part, name)]));
  return { weights: read('weights'), mean: read('mean'), meanSquare: read('meanSquare'), ema: read('ema') };
}

test.each(runners)('a loss that is not finite leaves weights and optimizer as they were: %s', (_name, start) => {
  const runner = start();
  const broken = stateWith((weights) => {
    weights.get('lm_head.weight')?.fill(3e38);
  });
  runner.load(broken);
  const figures = runner.run(randomBatch(1), scalars);
  expect(Number.isFinite(figures.loss)).toBe(false);
  expect(figures.taken).toBe(false);
  expect(readState(runner)).toEqual(broken);
  runner.dispose();
});

test.each(runners)('a gradient that is not finite does too, though the loss is: %s', (_name, start) => {
  const runner = start();
  const { hiddenSize } = tinyConfig;
  const steep = stateWith((weights) => {
    weights.get('model.norm.weight')?.fill(0);
    // Of both signs, so that the gradient is large whatever the rounding: what reaches equal rows would cancel.
    const head = weights.get('lm_head.weight');
    head?.forEach((_, at) => (head[at] = Math.floor(at / hiddenSize) % 2 === 0 ? 3e38 : -3e38));
  });
  runner.load(steep);
  const figures = runner.run(randomBatch(1), scalars);
  expect(Number.isFinite(figures.loss)).toBe(true);
  expect(figures).toMatchObject({ gradNorm: Infinity, taken: false });
  expect(readState(runner)).toEqual(steep);
  runner.dispose();
});

test.each(runners)(
  'a loss or gradient beyond its limit does too, and one at its limit does not: %s',
  (_name, start) => {
    const runner = start();
    const before = stateWith(() => {});
    runner.load(before);
    const beyond = runner.run(randomBatch(1), { ...scalars, maxLoss: 1 });
    expect(beyond.taken).toBe(false);
    expect(runner.run(randomBatch(1), { ...scalars, maxGradNorm: beyond.gradNorm * 0.99 })).toEqual(beyond);
    expect(readState(runner)).toEqual(before);
    const at = runner.run(randomBatch(1), { ...scalars, maxLoss: beyond.loss, maxGradNorm: beyond.gradNorm });
    expect(at).toEqual({ ...beyond, taken: true });
    expect(readState(runner).weights).not.toEqual(before.weights);
    runner.dispose();
  },
);

test('a skipped step counts as a step and its tokens as seen, but not as an update', () => {
  const taken = [true, false, true];
  const corrections: number[] = [];
  const runner: StepRunner = {
    load: () => undefined,
    run: (_, { biasCorrection1 }) => {
      corrections.push(biasCorrection1);
      return { loss: 1, losses: new Float32Array(), gradNorm: 1, taken: taken.shift() ?? true };
    },
    evaluate: () => 1,
    capture: () => new StateCapture({}),
    dispose: () => undefined,
  };
  const trainer = createTrainer(tinySettings, () => runner);
  trainer.restore(null);
  const results = [1, 2, 3].map((seed) => trainer.step(randomBatch(seed)));
  expect(results.map((result) => result.skipped)).toEqual([false, true, false]);
  expect(results.map((result) => result.step)).toEqual([1, 2, 3]);
  expect(results[2]?.lr).toBeCloseTo(0.02 * (48 / 64));
  expect(corrections.map((correction) => Number(correction.toFixed(6)))).toEqual([0.1, 0.19, 0.19]);
});
