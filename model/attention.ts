import type { Tensor } from '@tensorflow/tfjs-node';
import { tf } from './tf.ts';
import { withGradient } from './with-gradient.ts';

/*
 * Scaled dot-product attention (Vaswani et al. 2017), and the biases that hide keys from queries. B rows, G key heads,
 * R query heads that share one, T queries, S keys, D headDim.
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

/**
 * The values `[B, G, R, T, D]` that the queries find. With a gradient that takes the mean of what reaches the weights from
 * output and its gradient, since `Σ dw·w = Σ dy·y` (Dao et al. 2022): D numbers for each query instead of S.
 */
export function attend(q_BGRTD: Tensor, { k_BGSD, v_BGSD, bias }: Visible): Tensor {
  return withGradient(
    [q_BGRTD, k_BGSD, v_BGSD],
    () => {
      const weights_BGRTS = tf.softmax(scoresOf(q_BGRTD, k_BGSD).add(bias));
      const y_BGRTD = mix(weights_BGRTS, v_BGSD);
      return { value: y_BGRTD, saved: [q_BGRTD, k_BGSD, v_BGSD, weights_BGRTS, y_BGRTD] };
    },
    (dy, [q, k, v, weights, y]) => {
      const reached = spread(stack(dy).matMul(v, false, true), q.shape);
      const dScores = weights.mul(reached.sub(dy.mul(y).sum(-1, true))).mul(scaleOf(q));
      return [mix(dScores, k), transposed(dScores, q), transposed(weights, dy)];
    },
  );
}

function scoresOf(q_BGRTD: Tensor, k_BGSD: Tensor): Tensor {
  return spread(stack(q_BGRTD).matMul(k_BGSD, false, true), q_BGRTD.shape).mul(scaleOf(q_BGRTD));
}

function scaleOf({ shape }: Tensor): number {
  return (shape.at(-1) ?? 1) ** -0.5;
}

/** `[B, G, R, T, D]`: a sum of the keys' vectors `[B, G, S, D]` for each query. */
function mix(weights_BGRTS: Tensor, x_BGSD: Tensor): Tensor {
  return spread(stack(weights_BGRTS).matMul(x_BGSD), weights_BGRTS.shape);
}

/** `[B, G, S, D]`: a sum of the queries' vectors `[B, G, R, T, D]` for each key. */
function transposed(weights_BGRTS: Tensor, x_BGRTD: Tensor): Tensor {
  return stack(weights_BGRTS).matMul(stack(x_BGRTD), true, false);
}

/** Query heads that share a key head stand below one another, so that no key is copied. */
function stack(x: Tensor): Tensor {
  const [rows = 0, kvHeads = 0, shared = 0, length = 0, last = 0] = x.shape;
  return x.reshape([rows, kvHeads, shared * length, last]);
}

function spread(x: Tensor, like: readonly number[]): Tensor {
  return x.reshape([...like.slice(0, -1), -1]);
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
