import type { Tensor } from '@tensorflow/tfjs-node';
import { tf } from '../../model/tf.ts';

/** One operation on tensors of some shapes. `values` draws inputs from where it is smooth and defined. */
export interface OpCase {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly values: 'any' | 'positive' | 'unit' | 'above-one' | 'int' | 'bool';
  readonly differentiable: boolean;
  readonly fn: (...inputs: Tensor[]) => Tensor;
}

type Unary = (x: Tensor) => Tensor;
type Binary = (a: Tensor, b: Tensor) => Tensor;

const SHAPES: readonly (readonly number[])[] = [[], [5], [3, 4], [2, 3, 4], [1, 2, 3, 2]];

const PAIRS: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[4], [4]],
  [[3, 4], []],
  [[3, 4], [4]],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [
    [2, 1, 4],
    [1, 3, 1],
  ],
];

const SMOOTH: Readonly<Record<string, Unary>> = {
  cos: (x) => tf.cos(x),
  cosh: (x) => tf.cosh(x),
  elu: (x) => tf.elu(x),
  erf: (x) => tf.erf(x),
  exp: (x) => tf.exp(x),
  expm1: (x) => tf.expm1(x),
  neg: (x) => tf.neg(x),
  selu: (x) => tf.selu(x),
  sigmoid: (x) => tf.sigmoid(x),
  sin: (x) => tf.sin(x),
  sinh: (x) => tf.sinh(x),
  softplus: (x) => tf.softplus(x),
  square: (x) => tf.square(x),
  tan: (x) => tf.tan(x),
  tanh: (x) => tf.tanh(x),
  atan: (x) => tf.atan(x),
  asinh: (x) => tf.asinh(x),
  abs: (x) => tf.abs(x),
  relu: (x) => tf.relu(x),
  relu6: (x) => tf.relu6(x),
  leakyRelu: (x) => tf.leakyRelu(x, 0.1),
  clip: (x) => tf.clipByValue(x, -0.5, 0.5),
  step: (x) => tf.step(x),
  sign: (x) => tf.sign(x),
  floor: (x) => tf.floor(x),
  ceil: (x) => tf.ceil(x),
  round: (x) => tf.round(x),
  cube: (x) => x.mul(x).mul(x),
  affine: (x) => x.mul(3).add(1),
};

const POSITIVE: Readonly<Record<string, Unary>> = {
  log: (x) => tf.log(x),
  log1p: (x) => tf.log1p(x),
  sqrt: (x) => tf.sqrt(x),
  rsqrt: (x) => tf.rsqrt(x),
  reciprocal: (x) => tf.reciprocal(x),
  pow: (x) => tf.pow(x, 2.5),
};

const UNIT: Readonly<Record<string, Unary>> = {
  asin: (x) => tf.asin(x),
  acos: (x) => tf.acos(x),
  atanh: (x) => tf.atanh(x),
};

const BINARY: Readonly<Record<string, Binary>> = {
  add: (a, b) => tf.add(a, b),
  sub: (a, b) => tf.sub(a, b),
  mul: (a, b) => tf.mul(a, b),
  div: (a, b) => tf.div(a, b),
  pow: (a, b) => tf.pow(a, b),
  atan2: (a, b) => tf.atan2(a, b),
};

/** Those whose gradients tfjs does not sum over broadcast dimensions, so that it refuses its own result. */
const BINARY_WITHOUT_BROADCAST_GRADIENT: Readonly<Record<string, Binary>> = {
  maximum: (a, b) => tf.maximum(a, b),
  minimum: (a, b) => tf.minimum(a, b),
  squaredDifference: (a, b) => tf.squaredDifference(a, b),
  prelu: (a, b) => tf.prelu(a, b),
};

const COMPARISONS: Readonly<Record<string, Binary>> = {
  equal: (a, b) => tf.equal(a, b),
  notEqual: (a, b) => tf.notEqual(a, b),
  less: (a, b) => tf.less(a, b),
  lessEqual: (a, b) => tf.lessEqual(a, b),
  greater: (a, b) => tf.greater(a, b),
  greaterEqual: (a, b) => tf.greaterEqual(a, b),
};

const INTEGER: Readonly<Record<string, Binary>> = {
  add: (a, b) => tf.add(a, b),
  sub: (a, b) => tf.sub(a, b),
  mul: (a, b) => tf.mul(a, b),
  floorDiv: (a, b) => tf.floorDiv(a, b),
  maximum: (a, b) => tf.maximum(a, b),
  minimum: (a, b) => tf.minimum(a, b),
  equal: (a, b) => tf.equal(a, b),
  greater: (a, b) => tf.greater(a, b),
  toFloat: (a, b) => a.cast('float32').div(b.cast('float32')),
};

const CONDITION = (): Tensor => tf.tensor1d([1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0], 'bool').reshape([3, 4]);

/** Operations with shapes of their own. */
const SPECIAL: readonly (readonly [string, readonly (readonly number[])[], (...inputs: Tensor[]) => Tensor])[] = [
  [
    'matMul',
    [
      [3, 4],
      [4, 5],
    ],
    (a, b) => tf.matMul(a, b),
  ],
  [
    'matMul transposed left',
    [
      [4, 3],
      [4, 5],
    ],
    (a, b) => tf.matMul(a, b, true, false),
  ],
  [
    'matMul transposed right',
    [
      [3, 4],
      [5, 4],
    ],
    (a, b) => tf.matMul(a, b, false, true),
  ],
  [
    'matMul transposed both',
    [
      [4, 3],
      [5, 4],
    ],
    (a, b) => tf.matMul(a, b, true, true),
  ],
  [
    'matMul batched',
    [
      [2, 3, 4],
      [2, 4, 5],
    ],
    (a, b) => tf.matMul(a, b),
  ],
  [
    'matMul of rank 4',
    [
      [2, 2, 3, 4],
      [2, 2, 5, 4],
    ],
    (a, b) => tf.matMul(a, b, false, true),
  ],
  ['dot', [[4], [4]], (a, b) => tf.dot(a.as1D(), b.as1D())],
  [
    'fused matMul',
    [[3, 4], [4, 5], [5]],
    (a, b, bias) => tf.fused.matMul({ a: a, b: b, bias: bias, activation: 'relu' }),
  ],
  ['softmax', [[3, 5]], (x) => tf.softmax(x)],
  ['softmax of rank 3', [[2, 3, 5]], (x) => tf.softmax(x)],
  ['logSoftmax', [[3, 5]], (x) => tf.logSoftmax(x)],
  ['logSumExp', [[3, 5]], (x) => tf.logSumExp(x, 1)],
  ['transpose', [[2, 3, 4]], (x) => tf.transpose(x, [2, 0, 1])],
  ['transpose of all', [[2, 3]], (x) => tf.transpose(x)],
  ['reshape', [[2, 3, 4]], (x) => tf.reshape(x, [6, -1])],
  ['expandDims', [[2, 3]], (x) => tf.expandDims(x, 1)],
  ['squeeze', [[2, 1, 3]], (x) => tf.squeeze(x, [1])],
  [
    'concat',
    [
      [2, 3],
      [2, 4],
    ],
    (a, b) => tf.concat([a, b], 1),
  ],
  [
    'stack',
    [
      [2, 3],
      [2, 3],
    ],
    (a, b) => tf.stack([a, b], 1),
  ],
  ['split', [[2, 6]], (x) => tf.addN(tf.split(x, 3, 1).map((part, at) => part.pow(at + 1)))],
  ['split unevenly', [[2, 6]], (x) => tf.concat(tf.split(x, [1, 2, 3], 1).toReversed(), 1)],
  ['unstack', [[3, 4]], (x) => tf.addN(tf.unstack(x, 0).map((part, at) => part.mul(at)))],
  ['slice', [[4, 5]], (x) => tf.slice(x, [1, 0], [2, 3])],
  [
    'pad',
    [[2, 3]],
    (x) =>
      tf.pad(x, [
        [1, 0],
        [2, 1],
      ]),
  ],
  ['tile', [[2, 3]], (x) => tf.tile(x, [2, 2])],
  ['broadcastTo', [[1, 3]], (x) => tf.broadcastTo(x, [4, 3])],
  ['reverse', [[3, 4]], (x) => tf.reverse(x, 1)],
  ['cumsum', [[3, 4]], (x) => tf.cumsum(x, 1)],
  [
    'where',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.where(CONDITION(), a, b),
  ],
  ['addN', [[3], [3]], (a, b) => tf.addN([a, b, a])],
  ['norm', [[3, 4]], (x) => tf.norm(x)],
  ['moments', [[3, 4]], (x) => tf.moments(x, 1).variance],
  ['layer norm', [[3, 8], [8]], (x, gain) => layerNorm(x, gain)],
  ['squared relu', [[3, 8]], (x) => tf.relu(x).square()],
  ['gelu', [[3, 8]], (x) => x.mul(tf.erf(x.div(Math.SQRT2)).add(1)).mul(0.5)],
  [
    'attention',
    [
      [2, 3, 4],
      [2, 3, 4],
      [2, 3, 4],
    ],
    (q, k, v) => attention(q, k, v),
  ],
  [
    'conv2d',
    [
      [1, 5, 5, 2],
      [3, 3, 2, 3],
    ],
    (x, f) => tf.conv2d(x.as4D(1, 5, 5, 2), f.as4D(3, 3, 2, 3), 1, 'same'),
  ],
  ['maxPool', [[1, 4, 4, 2]], (x) => tf.maxPool(x.as4D(1, 4, 4, 2), 2, 2, 'valid')],
  ['avgPool', [[1, 4, 4, 2]], (x) => tf.avgPool(x.as4D(1, 4, 4, 2), 2, 2, 'valid')],
  ['zerosLike', [[3]], (x) => tf.zerosLike(x).add(x)],
  ['onesLike', [[3]], (x) => tf.onesLike(x).mul(x)],
  [
    'constants',
    [[3]],
    (x) =>
      tf
        .range(0, 3, 1, 'float32')
        .add(tf.ones([3]))
        .mul(x),
  ],
  ['mask made inside', [[4, 4]], (x) => tf.linalg.bandPart(tf.ones([4, 4]), -1, 0).mul(x)],
];

/** Operations without a gradient in tfjs, or without one that is not zero. */
const FORWARD: readonly (readonly [string, readonly (readonly number[])[], (...inputs: Tensor[]) => Tensor])[] = [
  [
    'matMul broadcast',
    [
      [2, 3, 4],
      [1, 4, 5],
    ],
    (a, b) => tf.matMul(a, b),
  ],
  [
    'einsum',
    [
      [2, 3, 4],
      [4, 5],
    ],
    (a, b) => tf.einsum('btc,cd->btd', a, b),
  ],
  ['stridedSlice', [[4, 6]], (x) => tf.stridedSlice(x, [0, 1], [4, 6], [2, 2])],
  ['cumsum exclusive', [[3, 4]], (x) => tf.cumsum(x, 0, true, true)],
  ['argMax', [[3, 5]], (x) => tf.argMax(x, 1)],
  ['argMin', [[3, 5]], (x) => tf.argMin(x, 0)],
  ['topk values', [[3, 5]], (x) => tf.topk(x, 2).values],
  ['topk indices', [[3, 5]], (x) => tf.topk(x, 2).indices],
  ['cast to int', [[3, 5]], (x) => tf.cast(x.mul(10), 'int32')],
  ['cast to bool', [[3, 5]], (x) => tf.cast(x, 'bool')],
  ['logicalAnd', [[4], [4]], (a, b) => tf.logicalAnd(a.greater(0), b.greater(0))],
  ['logicalOr', [[4], [4]], (a, b) => tf.logicalOr(a.greater(0), b.greater(0))],
  ['logicalNot', [[4]], (x) => tf.logicalNot(x.greater(0))],
  ['isFinite', [[4]], (x) => tf.isFinite(x.div(x.relu()))],
  ['isNaN', [[4]], (x) => tf.isNaN(x.relu().div(x.relu()))],
  ['all', [[3, 4]], (x) => tf.all(x.greater(-10).cast('bool'), 1)],
  ['any', [[3, 4]], (x) => tf.any(x.greater(0).cast('bool'), 0)],
  ['oneHot', [[4]], (x) => tf.oneHot(x.abs().cast('int32'), 4)],
  ['mod', [[4], [4]], (a, b) => tf.mod(a, b)],
  ['fill', [[3]], (x) => tf.zeros([3]).add(2).add(x)],
  ['scatterNd', [[2, 3]], (x) => tf.scatterND(tf.tensor2d([[1], [3]], [2, 1], 'int32'), x, [5, 3])],
  [
    'tensorScatterUpdate',
    [
      [5, 3],
      [2, 3],
    ],
    (x, u) => tf.tensorScatterUpdate(x, tf.tensor2d([[1], [3]], [2, 1], 'int32'), u),
  ],
  ['unsortedSegmentSum', [[4, 3]], (x) => tf.unsortedSegmentSum(x, tf.tensor1d([0, 2, 0, 1], 'int32'), 3)],
  [
    'gatherND',
    [[4, 3]],
    (x) =>
      tf.gatherND(
        x,
        tf.tensor2d(
          [
            [1, 2],
            [3, 0],
          ],
          [2, 2],
          'int32',
        ),
      ),
  ],
];

const REDUCTIONS: Readonly<Record<string, (x: Tensor, axis: number | undefined, keepDims: boolean) => Tensor>> = {
  sum: (x, axis, keepDims) => tf.sum(x, axis, keepDims),
  mean: (x, axis, keepDims) => tf.mean(x, axis, keepDims),
  max: (x, axis, keepDims) => tf.max(x, axis, keepDims),
  min: (x, axis, keepDims) => tf.min(x, axis, keepDims),
};

function layerNorm(x: Tensor, gain: Tensor): Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  return x.sub(mean).mul(variance.add(1e-5).rsqrt()).mul(gain);
}

function attention(q: Tensor, k: Tensor, v: Tensor): Tensor {
  const scores = tf.matMul(q, k, false, true).mul(0.5);
  return tf.matMul(tf.softmax(scores), v);
}

export function opCases(): readonly OpCase[] {
  const cases: OpCase[] = [];
  const unary = (table: Readonly<Record<string, Unary>>, values: OpCase['values']): void => {
    for (const [name, fn] of Object.entries(table)) {
      for (const shape of SHAPES) {
        cases.push({
          name: `${name} [${shape.join()}]`,
          shapes: [shape],
          values,
          differentiable: true,
          fn: (x) => fn(x),
        });
      }
    }
  };
  const binary = (table: Readonly<Record<string, Binary>>, values: OpCase['values'], differentiable: boolean): void => {
    for (const [name, fn] of Object.entries(table)) {
      for (const [a, b] of PAIRS) {
        const label = `${name} [${a.join()}] [${b.join()}] ${values}`;
        cases.push({ name: label, shapes: [a, b], values, differentiable, fn: (x, y) => fn(x, y) });
      }
    }
  };
  unary(SMOOTH, 'any');
  unary(POSITIVE, 'positive');
  unary(UNIT, 'unit');
  unary({ acosh: (x) => tf.acosh(x) }, 'above-one');
  binary(BINARY, 'positive', true);
  binary(BINARY_WITHOUT_BROADCAST_GRADIENT, 'positive', false);
  for (const [name, fn] of Object.entries(BINARY_WITHOUT_BROADCAST_GRADIENT)) {
    const shapes = [
      [3, 4],
      [3, 4],
    ];
    cases.push({ name: `${name} of one shape`, shapes, values: 'any', differentiable: true, fn: (a, b) => fn(a, b) });
  }
  binary(COMPARISONS, 'any', false);
  binary(INTEGER, 'int', false);
  for (const [name, fn] of Object.entries(REDUCTIONS)) {
    for (const axis of [undefined, 0, 1, -1]) {
      for (const keepDims of [false, true]) {
        const label = `${name} over ${axis ?? 'all'}${keepDims ? ', dimensions kept' : ''}`;
        cases.push({
          name: label,
          shapes: [[3, 4]],
          values: 'any',
          differentiable: true,
          fn: (x) => fn(x, axis, keepDims),
        });
      }
    }
  }
  for (const [name, shapes, fn] of SPECIAL) cases.push({ name, shapes, values: 'any', differentiable: true, fn });
  for (const [name, shapes, fn] of FORWARD) cases.push({ name, shapes, values: 'any', differentiable: false, fn });
  return cases;
}
