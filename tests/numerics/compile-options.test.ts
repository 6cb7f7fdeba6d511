import type { Tensor } from '@tensorflow/tfjs-node';
import { expect, test } from 'vitest';
import { compile, type OptimizeOptions, type Tensors } from '../../model/compile/index.ts';
import { crossEntropy, rmsNorm } from '../../model/ops.ts';
import { tf } from '../../model/tf.ts';

/*
 * A block with attention, a gated MLP and a loss, large enough that chains are compiled by XLA, and its gradients: once
 * op by op, once compiled under each choice of options.
 */

const rows = 2;
const length = 32;
const width = 64;
const vocabulary = 128;

const specs = {
  x: [rows * length, width],
  gain: [width],
  query: [width, width],
  key: [width, width],
  value: [width, width],
  gate: [2 * width, width],
  up: [2 * width, width],
  down: [width, 2 * width],
  head: [vocabulary, width],
} as const;

type Name = keyof typeof specs;
const names: readonly Name[] = ['x', 'gain', 'query', 'key', 'value', 'gate', 'up', 'down', 'head'];

function linear(x: Tensor, weight: Tensor): Tensor {
  return tf.matMul(x, weight, false, true);
}

function loss(weights: Tensors<Name>, targets: Tensor): Tensor {
  const heads = (x: Tensor): Tensor => x.reshape([rows, length, 4, width / 4]).transpose([0, 2, 1, 3]);
  const normed = rmsNorm(weights.x, weights.gain, 1e-6);
  const query = heads(linear(normed, weights.query));
  const scores = query.matMul(heads(linear(normed, weights.key)), false, true).mul(0.25);
  const past = tf.range(0, length).expandDims(1).greaterEqual(tf.range(0, length).expandDims(0));
  const mixed = tf
    .softmax(scores.add(tf.scalar(1).sub(past.toFloat()).mul(-1e9)))
    .matMul(heads(linear(normed, weights.value)));
  const attended = weights.x.add(mixed.transpose([0, 2, 1, 3]).reshape([rows * length, width]));
  const inner = rmsNorm(attended, weights.gain, 1e-6);
  const gate = linear(inner, weights.gate);
  const hidden = gate.mul(gate.sigmoid()).mul(linear(inner, weights.up));
  return crossEntropy(linear(attended.add(linear(hidden, weights.down)), weights.head), targets).mean();
}

function lossAndGradients(weights: Tensors<Name>, targets: Tensor): Record<string, Tensor> {
  const list = names.map((name) => weights[name]);
  const named = (tensors: Tensor[]): Tensors<Name> =>
    Object.assign({}, ...names.map((name, at) => ({ [name]: tensors[at] })));
  const { value, grads } = tf.valueAndGrads((...tensors: Tensor[]) => loss(named(tensors), targets).asScalar())(list);
  return { loss: value, ...named(grads) };
}

function inputs(): Tensors<Name> & { readonly targets: Tensor } {
  const draw = (name: Name, seed: number): Tensor =>
    tf.randomNormal([...specs[name]], 0, name === 'x' ? 1 : 0.125, 'float32', seed);
  const weights: Tensors<Name> = Object.assign({}, ...names.map((name, at) => ({ [name]: draw(name, at + 1) })));
  return { ...weights, targets: tf.range(0, rows * length, 1, 'int32') };
}

/** Length of the difference over length of the expected, the worst of all outputs. */
function worstDifference(options: OptimizeOptions): number {
  const given = inputs();
  const compiled = compile(
    ({ targets, ...weights }: typeof given) => ({ outputs: lossAndGradients(weights, targets) }),
    {
      inputs: given,
      ...options,
    },
  );
  const differences = tf.tidy(() => {
    const actual = compiled(given);
    const expected = lossAndGradients(given, given.targets);
    return Object.entries(expected).map(([name, tensor]) => {
      const difference = tensor.sub(actual[name] ?? tensor.mul(2)).norm();
      return difference.div(tensor.norm()).dataSync()[0] ?? Number.NaN;
    });
  });
  compiled.dispose();
  tf.dispose(given);
  return Math.max(...differences);
}

test.each([
  { options: { precision: 'f32' }, atMost: 5e-6 },
  { options: { precision: 'f32', xla: true }, atMost: 5e-6 },
  { options: { precision: 'bf16' }, atMost: 2e-2 },
  { options: { precision: 'bf16', xla: true }, atMost: 2e-2 },
] as const)('$options equals eager within $atMost', ({ options, atMost }) => {
  const tensorsBefore = tf.memory().numTensors;
  const difference = worstDifference(options);
  expect(difference).toBeLessThan(atMost);
  expect(tf.memory().numTensors).toBe(tensorsBefore);
});
