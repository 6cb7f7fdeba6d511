import type { Tensor } from '@tensorflow/tfjs-node';
import { tf } from '../../model/tf.ts';
import type { OpCase } from './compile-ops.cases.ts';

/* Operations beyond those of language models: convolutions, images, indices, normalisations, scans. */

type Row = readonly [name: string, shapes: readonly (readonly number[])[], fn: (...inputs: Tensor[]) => Tensor];

const indices = (): Tensor => tf.tensor1d([2, 0, 3, 2], 'int32');
const image = (x: Tensor): ReturnType<Tensor['as4D']> => x.as4D(1, 6, 6, 2);

const DIFFERENTIABLE: readonly Row[] = [
  [
    'conv1d',
    [
      [1, 6, 2],
      [3, 2, 3],
    ],
    (x, f) => tf.conv1d(x.as3D(1, 6, 2), f.as3D(3, 2, 3), 1, 'same'),
  ],
  [
    'conv2d with strides',
    [
      [1, 6, 6, 2],
      [3, 3, 2, 2],
    ],
    (x, f) => tf.conv2d(image(x), f.as4D(3, 3, 2, 2), 2, 'valid'),
  ],
  [
    'depthwiseConv2d',
    [
      [1, 6, 6, 2],
      [3, 3, 2, 2],
    ],
    (x, f) => tf.depthwiseConv2d(image(x), f.as4D(3, 3, 2, 2), 1, 'same'),
  ],
  [
    'conv2dTranspose',
    [
      [1, 3, 3, 2],
      [3, 3, 2, 2],
    ],
    (x, f) => tf.conv2dTranspose(x.as4D(1, 3, 3, 2), f.as4D(3, 3, 2, 2), [1, 5, 5, 2], 2, 'same'),
  ],
  [
    'conv3d',
    [
      [1, 4, 4, 4, 1],
      [2, 2, 2, 1, 2],
    ],
    (x, f) => tf.conv3d(x.as5D(1, 4, 4, 4, 1), f.as5D(2, 2, 2, 1, 2), 1, 'valid'),
  ],
  ['maxPool overlapping', [[1, 6, 6, 2]], (x) => tf.maxPool(image(x), 3, 2, 'same')],
  ['avgPool overlapping', [[1, 6, 6, 2]], (x) => tf.avgPool(image(x), 3, 2, 'same')],
  ['maxPool3d', [[1, 4, 4, 4, 1]], (x) => tf.maxPool3d(x.as5D(1, 4, 4, 4, 1), 2, 2, 'valid')],
  ['avgPool3d', [[1, 4, 4, 4, 1]], (x) => tf.avgPool3d(x.as5D(1, 4, 4, 4, 1), 2, 2, 'valid')],
  ['resizeBilinear', [[1, 6, 6, 2]], (x) => tf.image.resizeBilinear(image(x), [9, 4])],
  ['resizeNearestNeighbor', [[1, 6, 6, 2]], (x) => tf.image.resizeNearestNeighbor(image(x), [9, 4])],
  ['localResponseNormalization', [[1, 6, 6, 2]], (x) => tf.localResponseNormalization(image(x), 1)],
  ['gather of constant indices', [[5, 3]], (x) => tf.gather(x, indices())],
  ['gather along the second axis', [[3, 5]], (x) => tf.gather(x, indices(), 1)],
  [
    'mirrorPad reflect',
    [[3, 4]],
    (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 1],
          [2, 0],
        ],
        'reflect',
      ),
  ],
  ['reverse of all axes', [[2, 3, 2]], (x) => tf.reverse(x)],
  ['slice of rank 3', [[2, 3, 4]], (x) => tf.slice(x, [0, 1, 2], [2, 1, 2])],
  ['tile of rank 3', [[1, 2, 3]], (x) => tf.tile(x, [2, 1, 3])],
  ['prod', [[3, 4]], (x) => tf.prod(x, 1)],
  ['mean of squares over two axes', [[2, 3, 4]], (x) => x.square().mean([0, 2])],
  [
    'spaceToBatchND',
    [[1, 4, 4, 1]],
    (x) =>
      tf.spaceToBatchND(
        x,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
  ],
  [
    'batchToSpaceND',
    [[4, 2, 2, 1]],
    (x) =>
      tf.batchToSpaceND(
        x,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
  ],
  [
    'batchNorm',
    [[4, 3], [3], [3]],
    (x, offset, scale) =>
      tf.batchNorm(x.as2D(4, 3), tf.tensor1d([0.1, 0, -0.1]), tf.tensor1d([1, 2, 0.5]), offset.as1D(), scale.as1D()),
  ],
  ['unsortedSegmentSum', [[4, 3]], (x) => tf.unsortedSegmentSum(x, tf.tensor1d([0, 2, 0, 1], 'int32'), 3)],
  [
    'where of one condition',
    [
      [2, 6],
      [2, 6],
    ],
    (a, b) => tf.where(tf.tensor2d([1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0], [2, 6], 'bool'), a, b),
  ],
  ['swish', [[3, 4]], (x) => x.mul(x.sigmoid())],
  ['mish', [[3, 4]], (x) => x.mul(tf.tanh(tf.softplus(x)))],
  ['logSigmoid', [[3, 4]], (x) => tf.logSigmoid(x)],
  ['hard clip and straight line', [[3, 4]], (x) => tf.minimum(tf.maximum(x, -0.5), 0.5).add(x.mul(0.1))],
  ['outer product', [[3], [4]], (a, b) => tf.outerProduct(a.as1D(), b.as1D())],
  [
    'matMul of a batch by one matrix',
    [
      [2, 3, 4],
      [4, 5],
    ],
    (a, b) => a.reshape([6, 4]).matMul(b).reshape([2, 3, 5]),
  ],
  [
    'cosine distance',
    [
      [2, 4],
      [2, 4],
    ],
    (a, b) => tf.losses.cosineDistance(a, b, 1),
  ],
  [
    'huber loss',
    [
      [2, 4],
      [2, 4],
    ],
    (a, b) => tf.losses.huberLoss(a, b),
  ],
  [
    'mean squared error',
    [
      [2, 4],
      [2, 4],
    ],
    (a, b) => tf.losses.meanSquaredError(a, b),
  ],
  [
    'softmax cross-entropy',
    [[3, 5]],
    (x) => tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d([1, 4, 0], 'int32'), 5).toFloat(), x),
  ],
  ['multi-step recurrence', [[4], [4]], (a, b) => [1, 2, 3].reduce((h) => tf.tanh(h.mul(0.5).add(b)), a)],
  [
    'a gradient inside',
    [[4]],
    (x) =>
      tf
        .grad((y) => y.square().sum())(x)
        .mul(x),
  ],
];

/** Without a gradient in tfjs, or with one that is zero. */
const FORWARD: readonly Row[] = [
  ['eye', [[3, 3]], (x) => x.matMul(tf.eye(3))],
  ['linspace', [[5]], (x) => x.add(tf.linspace(0, 1, 5))],
  [
    'meshgrid',
    [[4]],
    (x) => tf.addN([x, ...tf.meshgrid(tf.range(0, 4), tf.range(0, 1)).slice(0, 1)].map((t) => t.reshape([4]))),
  ],
  ['logicalXor', [[4], [4]], (a, b) => tf.logicalXor(a.greater(0), b.greater(0))],
  ['floorDiv of floats', [[4], [4]], (a, b) => tf.floorDiv(a, b)],
  ['isInf', [[4]], (x) => tf.isInf(x.div(tf.zerosLike(x)))],
  ['depthToSpace', [[1, 2, 2, 4]], (x) => tf.depthToSpace(x.as4D(1, 2, 2, 4), 2, 'NHWC')],
  [
    'dilation2d',
    [
      [1, 6, 6, 2],
      [3, 3, 2],
    ],
    (x, f) => tf.dilation2d(image(x), f.as3D(3, 3, 2), 1, 'same'),
  ],
  [
    'cropAndResize',
    [[1, 6, 6, 2]],
    (x) => tf.image.cropAndResize(image(x), tf.tensor2d([[0, 0, 1, 1]]), tf.tensor1d([0], 'int32'), [3, 3]),
  ],
  ['flipLeftRight', [[1, 6, 6, 2]], (x) => tf.image.flipLeftRight(image(x))],
  ['cumprod', [[3, 4]], (x) => tf.cumprod(x, 1)],
  ['bincount', [[6]], (x) => tf.bincount(tf.tensor1d([0, 2, 1, 2, 2, 0], 'int32'), x.as1D(), 4)],
  ['sparseToDense', [[2]], (x) => tf.sparseToDense(tf.tensor1d([1, 3], 'int32'), x.as1D(), [5], 0)],
  ['inTopK by hand', [[3, 5]], (x) => tf.topk(x, 2).indices.equal(tf.argMax(x, 1).expandDims(1)).any(1)],
  ['confusion of classes', [[4]], (x) => tf.oneHot(x.greater(0).toInt(), 2).sum(0)],
  ['movingAverage by hand', [[4], [4]], (a, b) => a.mul(0.9).add(b.mul(0.1))],
  ['fft', [[8]], (x) => tf.real(tf.spectral.fft(tf.complex(x, tf.zerosLike(x))))],
  ['rfft', [[8]], (x) => tf.imag(tf.spectral.rfft(x))],
  ['frame', [[8]], (x) => tf.signal.frame(x.as1D(), 4, 2)],
  ['hannWindow', [[8]], (x) => x.mul(tf.signal.hannWindow(8))],
  ['dropout of nothing', [[8]], (x) => tf.dropout(x, 0)],
  [
    'concat of three',
    [
      [2, 1],
      [2, 2],
      [2, 3],
    ],
    (a, b, c) => tf.concat([a, b, c], 1),
  ],
  ['equality of booleans', [[4]], (x) => x.greater(0).equal(x.greater(0.5))],
  [
    'where over a broadcast',
    [
      [3, 4],
      [3, 4],
    ],
    (a, b) => tf.where(a.greater(b), a, b),
  ],
];

export function moreOpCases(): readonly OpCase[] {
  return [...casesOf(DIFFERENTIABLE, true), ...casesOf(FORWARD, false)];
}

function casesOf(rows: readonly Row[], differentiable: boolean): readonly OpCase[] {
  return rows.map(([name, shapes, fn]) => ({ name, shapes, values: 'any', differentiable, fn }));
}
