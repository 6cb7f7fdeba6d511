import type { Tensor } from '@tensorflow/tfjs-node';
import { tf } from './tf.ts';

/*
 * Scaled dot-product attention (Vaswani et al. 2017) over keys that may lie in several tensors, and the biases that hide
 * some of them. B rows, G key heads, R query heads that share one, T queries, S keys, D headDim.
 */

export interface KeyValue {
  readonly k_BGSD: Tensor;
  readonly v_BGSD: Tensor;
}

/** Keys, and which of them each query sees. */
export interface Visible extends KeyValue {
  /** 0 where a query may look, a large negative number where not; broadcast against `[B, G, R, T, S]`. */
  readonly bias: Tensor;
}

/** The values `[B, G, R, T, D]` that the queries find among all keys of all parts, as if those were one. */
export function attendTo(q_BGRTD: Tensor, parts: readonly Visible[]): Tensor {
  const [rows = 0, kvHeads = 0, shared = 0, length = 0, headDim = 0] = q_BGRTD.shape;
  // Query heads that share a key head stand below one another, so that no key is copied.
  const q_BGQD = q_BGRTD.reshape([rows, kvHeads, shared * length, headDim]);
  const stacked = (x_BGRTS: Tensor): Tensor => x_BGRTS.reshape([rows, kvHeads, shared * length, -1]);
  const scores = parts.map(({ k_BGSD, bias }) =>
    q_BGQD
      .matMul(k_BGSD, false, true)
      .reshape([rows, kvHeads, shared, length, -1])
      .mul(headDim ** -0.5)
      .add(bias),
  );
  const found = together(scores).map((weights, at) => stacked(weights).matMul(valuesOf(parts, at)));
  return found.reduce((sum, part) => sum.add(part)).reshape(q_BGRTD.shape);
}

/** Softmax over the last axis of all parts as one. */
function together(scores: readonly Tensor[]): readonly Tensor[] {
  const [only, ...others] = scores;
  if (only === undefined || others.length === 0) return scores.map((part) => tf.softmax(part));
  const sizes = scores.map(({ shape }) => shape.at(-1) ?? 0);
  return tf.split(tf.softmax(tf.concat([...scores], -1)), sizes, -1);
}

function valuesOf(parts: readonly Visible[], at: number): Tensor {
  const part = parts[at];
  if (part === undefined) throw new RangeError(`There are ${parts.length} parts, and not ${at + 1}`);
  return part.v_BGSD;
}

/** Added to scores that must not count: exp of it is exactly 0, and it is finite in bfloat16 too. */
const unseen = -1e9;

/** Every position sees itself and what came before it, within its own document where segments are given. */
export function causalBias(length: number, segments_BT?: Tensor): Tensor {
  const order = tf.range(0, length, 1, 'int32');
  const past_TS = order.expandDims(1).greaterEqual(order.expandDims(0));
  if (!segments_BT) return hide(past_TS);
  const sameDocument_BTS = segments_BT.expandDims(2).equal(segments_BT.expandDims(1));
  return hide(past_TS.logicalAnd(sameDocument_BTS).reshape([-1, 1, 1, length, length]));
}

/** The bias that lets through only where `visible` is true. */
export function hide(visible: Tensor): Tensor {
  return tf.scalar(1).sub(visible.toFloat()).mul(unseen);
}
