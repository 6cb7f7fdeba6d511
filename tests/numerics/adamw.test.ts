import type { Tensor } from '@tensorflow/tfjs-node';
import { describe, expect, test } from 'vitest';
import { adamW } from '../../model/adamw.ts';
import { clipScale, globalNorm } from '../../model/clip.ts';
import { tf } from '../../model/tf.ts';

const settings = { beta1: 0.9, beta2: 0.99, epsilon: 0, weightDecay: 0.1 };

/** Two updates with gradients 0.5 and −1, at a rate of 0.01. */
function twoUpdates(start: Tensor): number[] {
  return [0.5, -1].reduce(
    ({ state, seen }, gradient, at) => {
      const inputs = {
        lr: tf.scalar(0.01),
        biasCorrection1: tf.scalar(1 - 0.9 ** (at + 1)),
        biasCorrection2: tf.scalar(1 - 0.99 ** (at + 1)),
      };
      const next = adamW(state, tf.fill(start.shape, gradient), inputs, settings);
      return { state: next, seen: [...seen, next.parameter.dataSync()[0] ?? NaN] };
    },
    { state: { parameter: start, mean: tf.zerosLike(start), meanSquare: tf.zerosLike(start) }, seen: [] as number[] },
  ).seen;
}

describe('AdamW', () => {
  // First update: both means, corrected, are the gradient and its square, so the direction is 1.
  // Second: mean (0.9·0.05 − 0.1) / 0.19 = −0.2894737; mean square (0.99·0.0025 + 0.01) / 0.0199 = 0.6268844;
  // direction −0.2894737 / 0.7917603 = −0.3656077.
  test('follows the sum done by hand, with decay on a matrix', () => {
    const [first, second] = twoUpdates(tf.tensor2d([[2]]));
    expect(first).toBeCloseTo(2 - 0.01 * (1 + 0.1 * 2), 6);
    expect(second).toBeCloseTo(1.988 - 0.01 * (-0.3656077 + 0.1 * 1.988), 6);
  });

  test('lets the gains of norms keep their size', () => {
    const [first, second] = twoUpdates(tf.tensor1d([2]));
    expect(first).toBeCloseTo(1.99, 6);
    expect(second).toBeCloseTo(1.99 + 0.01 * 0.3656077, 6);
  });
});

describe('clipping', () => {
  const norm = globalNorm([tf.tensor1d([3, 0]), tf.tensor2d([[4]])]);

  test('measures all tensors as one vector', () => {
    expect(norm.dataSync()[0]).toBeCloseTo(5, 6);
  });

  test('shortens what is longer than the limit and leaves the rest alone', () => {
    expect(clipScale(norm, 1).dataSync()[0]).toBeCloseTo(0.2, 5);
    expect(clipScale(norm, 10).dataSync()[0]).toBe(1);
  });
});
