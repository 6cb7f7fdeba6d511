import type { Tensor } from '@tensorflow/tfjs-node';
import type { KeyValue } from './attention.ts';
import { tf } from './tf.ts';

/**
 * Attention without a gradient over keys that lie in several tensors `[B, G, S, D]`, as if those were one: what the queries
 * `[B, G, Q, D]` find there. The bias hides keys; broadcast against `[B, G, Q, S]` of all parts together.
 */
export function attendToParts(q_BGQD: Tensor, parts: readonly KeyValue[], bias: Tensor): Tensor {
  const scores = parts.map(({ k_BGSD }) => q_BGQD.matMul(k_BGSD, false, true));
  const weights = tf.softmax(tf.concat(scores, -1).add(bias));
  const sizes = parts.map(({ k_BGSD }) => k_BGSD.shape[2] ?? 0);
  const split = tf.split(weights, sizes, -1);
  const found = parts.map(({ v_BGSD }, at) => (split[at] ?? weights).matMul(v_BGSD));
  return found.reduce((sum, part) => sum.add(part));
}
