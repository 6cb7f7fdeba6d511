import type { Tensor } from '@tensorflow/tfjs-node';
import { backend, tf } from './tf.ts';

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
    () => {
      const { binding } = backend;
      const attributes = [
        { name: 'batch_dims', type: binding.TF_ATTR_INT, value: 0 },
        typeAttribute('Tparams', binding.TF_FLOAT),
        typeAttribute('Tindices', binding.TF_INT32),
        typeAttribute('Taxis', binding.TF_INT32),
      ];
      const axis = tf.scalar(0, 'int32');
      const value = backend.executeSingleOutput('GatherV2', attributes, [weight_VC, ids_N, axis]);
      return { value, saved: [ids_N] };
    },
    (dy_NC, [ids]) => [tf.unsortedSegmentSum(dy_NC, ids.as1D(), weight_VC.shape[0] ?? 0)],
  );
}

/** `-log softmax(logits)[target]` per position. TensorFlow's kernel gives loss and gradient at once. */
export function crossEntropy(logits_NV: Tensor, targets_N: Tensor): Tensor {
  return withGradient(
    [logits_NV],
    () => {
      const { binding } = backend;
      const attributes = [typeAttribute('T', binding.TF_FLOAT), typeAttribute('Tlabels', binding.TF_INT32)];
      const name = 'SparseSoftmaxCrossEntropyWithLogits';
      const [value, slope] = backend.executeMultipleOutputs(name, attributes, [logits_NV, targets_N], 2);
      if (!value || !slope) throw new TypeError(`${name} has two outputs`);
      return { value, saved: [slope] };
    },
    (dy_N, [slope_NV]) => [dy_N.expandDims(-1).mul(slope_NV)],
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

/** Cosine and sine of the angle by which rotary embedding turns each entry; the sines of first halves are negated. */
export interface Rotation {
  readonly cos_TD: Tensor;
  readonly sin_TD: Tensor;
}

/**
 * Turns each pair `(x[i], x[i + D/2])` by its angle: rotary position embedding (Su et al. 2021) in Hugging Face's
 * rotate-half convention. The gradient is the turn back.
 */
export function rotate(x: Tensor, { cos_TD, sin_TD }: Rotation): Tensor {
  return withGradient(
    [x],
    () => ({ value: turn(x, cos_TD, sin_TD), saved: [cos_TD, sin_TD] }),
    (dy, [cos, sin]) => [turn(dy, cos, sin.neg())],
  );
}

function turn(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  return x.mul(cos).add(swapHalves(x).mul(sin));
}

/** A reversal rather than a split and a concatenation: compiled, it is only another way to read. */
function swapHalves(x: Tensor): Tensor {
  const half = (x.shape.at(-1) ?? 0) / 2;
  return x
    .reshape([...x.shape.slice(0, -1), 2, half])
    .reverse(-2)
    .reshape(x.shape);
}

/** Chooses by a condition that is broadcast. `tf.where` would first blow it up to the full shape. */
export function select(condition: Tensor, whenTrue: Tensor, whenFalse: Tensor): Tensor {
  const attributes = [typeAttribute('T', backend.binding.TF_FLOAT)];
  return backend.executeSingleOutput('SelectV2', attributes, [condition, whenTrue, whenFalse]);
}

function typeAttribute(name: string, value: number): { name: string; type: number; value: number } {
  return { name, type: backend.binding.TF_ATTR_TYPE, value };
}

/** `tf.customGrad` with types: `backward` gets what `forward` saved, in order, and returns one gradient per input. */
function withGradient<const Saved extends readonly Tensor[]>(
  inputs: readonly Tensor[],
  forward: () => { readonly value: Tensor; readonly saved: Saved },
  backward: (dy: Tensor, saved: Saved) => Tensor[],
): Tensor {
  const run = tf.customGrad((...given) => {
    const { value, saved } = forward();
    const save = given.at(-1);
    if (typeof save === 'function') save([...saved]);
    const gradFunc = (dy: Tensor, kept: readonly Tensor[]): Tensor[] => {
      if (!isLike(kept, saved)) throw new TypeError(`${kept.length} tensors came back of ${saved.length} saved`);
      return backward(dy, kept);
    };
    return { value, gradFunc };
  });
  return run(...inputs);
}

function isLike<Saved extends readonly Tensor[]>(tensors: readonly Tensor[], saved: Saved): tensors is Saved {
  return tensors.length === saved.length;
}
