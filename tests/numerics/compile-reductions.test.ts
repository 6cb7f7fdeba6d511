import type { Tensor } from '@tensorflow/tfjs-node';
import { expect, test } from 'vitest';
import { compile } from '../../model/compile/index.ts';
import { tf } from '../../model/tf.ts';

/** Shapes whose last axis is cut into stretches, halved, both, or neither; and whole tensors. */
const shapes: readonly (readonly number[])[] = [
  [512, 64],
  [128, 48],
  [40, 384],
  [30, 1000],
  [20, 4096],
  [16 * 256 * 3],
  [64, 4097],
];

function reductions(x: Tensor): readonly Tensor[] {
  return [x.square().sum(-1), x.mean(-1, true), x.max(-1), x.square().sum(), x.sum(0), tf.softmax(x)];
}

test.each(shapes.map((shape) => ({ shape })))('reductions of $shape count every entry once', ({ shape }) => {
  const x = tf.randomNormal([...shape], 0, 1, 'float32', 5);
  const compiled = compile(
    ({ x: input }) => ({
      outputs: Object.fromEntries(reductions(input).map((result, at) => [`r${at}`, result])),
    }),
    { inputs: { x: { shape, dtype: 'float32' } }, xla: true },
  );
  const results = compiled({ x });
  reductions(x).forEach((expected, at) => {
    const result = results[`r${at}`];
    expect(result?.shape).toEqual(expected.shape);
    const differences = tf.abs(expected.sub(result ?? Number.NaN)).div(tf.abs(expected).add(1));
    expect(differences.max().dataSync()[0]).toBeLessThan(2e-5);
  });
  compiled.dispose();
});
