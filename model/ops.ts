import type { Tensor } from '@tensorflow/tfjs-node';
import { backend, tf } from './tf.ts';
import { withGradient } from './with-gradient.ts';

/*
 * Operations that tfjs lacks, or whose gradient it builds wastefully. None reads a tensor back, so a graph can be traced
 * through all of them. Shapes: V vocabulary, C width, N positions, D head size.
 */

/**
 * Rows of an embedding. `tf.gather` would read the ids back to check their bounds; here the caller vouches for them. The
 * gradient adds up the rows of equal ids.
 */
export function embed(weight_VC: Tensor, ids_N: Tensor): Tensor {
  return withGradient(
    [weight_VC],
    () => ({ value: gather(weight_VC, ids_N, 0), saved: [ids_N] }),
    (dy_NC, [ids]) => [tf.unsortedSegmentSum(dy_NC, ids.as1D(), weight_VC.shape[0] ?? 0)],
  );
}

/**
 * `-log softmax(logits)[target]` per position. The gradient is that of this plus `zLoss · log(Σ exp(logits))²`, which keeps
 * logits from drifting away together (Chowdhery et al. 2022).
 */
export function crossEntropy(logits_NV: Tensor, targets_N: Tensor, zLoss = 0): Tensor {
  return withGradient(
    [logits_NV],
    () => {
      const greatest_N1 = logits_NV.max(-1, true);
      const powers_NV = logits_NV.sub(greatest_N1).exp();
      const sum_N1 = powers_NV.sum(-1, true);
      const logSum_N1 = sum_N1.log().add(greatest_N1);
      const value = logSum_N1.sub(pick(logits_NV, targets_N)).flatten();
      return { value, saved: [powers_NV, sum_N1, targets_N, logSum_N1] };
    },
    (dy_N, [powers_NV, sum_N1, targets, logSum_N1]) => {
      // Compared as floats, which hold whole numbers of this size exactly: compiled, that is faster.
      const classes_V = tf.range(0, powers_NV.shape[1] ?? 0);
      const isTarget_NV = classes_V.equal(targets.toFloat().expandDims(-1)).toFloat();
      const shares_NV = powers_NV.div(sum_N1);
      const pulled_NV = zLoss > 0 ? shares_NV.mul(logSum_N1.mul(2 * zLoss).add(1)) : shares_NV;
      return [pulled_NV.sub(isTarget_NV).mul(dy_N.expandDims(-1))];
    },
  );
}

/** The entry of each row that its index names, `[N, 1]`. */
function pick(x_NV: Tensor, indices_N: Tensor): Tensor {
  return gather(x_NV, indices_N.expandDims(-1), 1);
}

/** SwiGLU (Shazeer 2020): `gate · sigmoid(gate) · up`. Only its inputs are kept for the backward pass. */
export function swiGlu(gate: Tensor, up: Tensor): Tensor {
  return withGradient(
    [gate, up],
    () => ({ value: gate.mul(up).mul(gate.sigmoid()), saved: [gate, up] }),
    (dy, [x, factor]) => {
      const open = x.sigmoid();
      const through = dy.mul(open);
      const slope = tf.scalar(1).sub(open).mul(x).add(1);
      return [through.mul(factor).mul(slope), through.mul(x)];
    },
  );
}

/** `relu(x)²` (So et al. 2021). Only what is positive is kept for the backward pass. */
export function relu2(x: Tensor): Tensor {
  return withGradient(
    [x],
    () => {
      const positive = x.relu();
      return { value: positive.square(), saved: [positive] };
    },
    (dy, [positive]) => [dy.mul(positive).mul(2)],
  );
}

/** `cap · tanh(x ÷ cap)`: about x where that is small, and never beyond ±cap. */
export function softCap(x: Tensor, cap: number): Tensor {
  return withGradient(
    [x],
    () => {
      const within = x.div(cap).tanh();
      return { value: within.mul(cap), saved: [within] };
    },
    (dy, [within]) => [dy.mul(tf.scalar(1).sub(within.square()))],
  );
}

/** `x / rms(x) · gain` over the last axis (Zhang & Sennrich 2019). */
export function rmsNorm(x: Tensor, gain: Tensor, epsilon: number): Tensor {
  return withGradient(
    [x, gain],
    () => {
      const inverseRms = x.square().mean(-1, true).add(epsilon).rsqrt();
      const unit = x.mul(inverseRms);
      return { value: unit.mul(gain), saved: [unit, inverseRms, gain] };
    },
    (dy, [unit, inverseRms, savedGain]) => {
      const slope = dy.mul(savedGain);
      const radial = unit.mul(slope.mul(unit).mean(-1, true));
      const leading = unit.shape.slice(0, -1).map((_, axis) => axis);
      return [slope.sub(radial).mul(inverseRms), dy.mul(unit).sum(leading)];
    },
  );
}

/** Cosine and sine of the angle by which rotary embedding turns each pair; E = D/2. */
export interface Rotation {
  readonly cos_TE: Tensor;
  readonly sin_TE: Tensor;
}

/**
 * Turns each pair `(x[i], x[i + D/2])` by its angle: rotary position embedding (Su et al. 2021) in Hugging Face's
 * rotate-half convention. The gradient is the turn back.
 */
export function rotate(x: Tensor, { cos_TE, sin_TE }: Rotation): Tensor {
  return withGradient(
    [x],
    () => ({ value: turn(x, cos_TE, sin_TE), saved: [cos_TE, sin_TE] }),
    (dy, [cos, sin]) => [turn(dy, cos, sin.neg())],
  );
}

function turn(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  const [a, b] = halves(x);
  return tf.concat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))], -1);
}

function halves(x: Tensor): [Tensor, Tensor] {
  const before = x.shape.slice(0, -1);
  const half = (x.shape.at(-1) ?? 0) / 2;
  const take = (from: number): Tensor => tf.slice(x, [...before.map(() => 0), from], [...before, half]);
  return [take(0), take(half)];
}

/** Entries along the last axis of `indices`; all axes of `x` before it are shared with `indices`. */
function gather(x: Tensor, indices: Tensor, sharedAxes: number): Tensor {
  const { binding } = backend;
  const attributes = [
    { name: 'batch_dims', type: binding.TF_ATTR_INT, value: sharedAxes },
    typeAttribute('Tparams', binding.TF_FLOAT),
    typeAttribute('Tindices', binding.TF_INT32),
    typeAttribute('Taxis', binding.TF_INT32),
  ];
  return backend.executeSingleOutput('GatherV2', attributes, [x, indices, tf.scalar(sharedAxes, 'int32')]);
}

/** Chooses by a condition that is broadcast. `tf.where` would first blow it up to the full shape. */
export function select(condition: Tensor, whenTrue: Tensor, whenFalse: Tensor): Tensor {
  const { TF_FLOAT, TF_INT32 } = backend.binding;
  const attributes = [typeAttribute('T', whenTrue.dtype === 'int32' ? TF_INT32 : TF_FLOAT)];
  return backend.executeSingleOutput('SelectV2', attributes, [condition, whenTrue, whenFalse]);
}

function typeAttribute(name: string, value: number): { name: string; type: number; value: number } {
  return { name, type: backend.binding.TF_ATTR_TYPE, value };
}
