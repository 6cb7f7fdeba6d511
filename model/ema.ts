import type { Scalar } from '@tensorflow/tfjs-node';
import { select } from './ops.ts';
import { mapParameters, parameter } from './parameters.ts';
import type { Parameters } from './parameters.ts';

/** A running mean of the weights that follows them by `1 − decay`; it stays where the step was skipped. */
export function moveEma(ema: Parameters, weights: Parameters, decay: Scalar, taken: Scalar): Parameters {
  return mapParameters(ema, (mean, name) => {
    const moved = mean.add(parameter(weights, name).sub(mean).mul(decay.neg().add(1)));
    return select(taken, moved, mean);
  });
}

/**
 * The decay of one update: `decay` in the long run, less at first, so that the mean does not speak of the first random
 * weights for long (the rule of TensorFlow's `ExponentialMovingAverage`). `updates` counts those before this one.
 */
export function emaDecayAt(decay: number, updates: number): number {
  return Math.min(decay, (1 + updates) / (10 + updates));
}
