import { expect, test } from 'vitest';
import { crossEntropy, softCap } from '../../model/ops.ts';
import { tf } from '../../model/tf.ts';

const logits = [
  [0.5, -1, 2, 0.25],
  [3, 1, -2, 0.5],
];
const targets = [2, 1];
const Z = 0.3;

/** Cross-entropy and Z times the squared logarithm of the softmax's sum, of all rows, in double precision. */
function penalized(rows: readonly (readonly number[])[]): number {
  return rows.reduce((sum, row, at) => {
    const logSum = Math.log(row.reduce((total, logit) => total + Math.exp(logit), 0));
    return sum + logSum - (row[targets[at] ?? 0] ?? Number.NaN) + Z * logSum ** 2;
  }, 0);
}

test('the z-loss is in the gradient, and not in the value', () => {
  const given = tf.tensor2d(logits);
  const ids = tf.tensor1d(targets, 'int32');
  const { value, grads } = tf.valueAndGrads((x) => crossEntropy(x ?? given, ids, Z))([given], tf.ones([2]));
  expect([...value.dataSync()]).toEqual([...crossEntropy(given, ids).dataSync()]);
  const [gradient] = grads.map((tensor) => tensor.dataSync());
  logits.forEach((row, at) =>
    row.forEach((_, column) => {
      const moved = (step: number): number =>
        penalized(logits.map((other, r) => other.map((x, c) => (r === at && c === column ? x + step : x))));
      const slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
      expect(gradient?.[at * 4 + column]).toBeCloseTo(slope, 5);
    }),
  );
});

test('a soft cap bends as its formula does', () => {
  const [slope] = tf.valueAndGrads((x) => softCap(x ?? tf.scalar(0), 2))([tf.scalar(3)]).grads;
  expect(slope?.dataSync()[0]).toBeCloseTo(1 - Math.tanh(1.5) ** 2, 6);
});
