import type { Tensor } from '@tensorflow/tfjs-node';
import { tf } from './tf.ts';
import { withGradient } from './with-gradient.ts';

/**
 * Attention: `softmax(q·kᵀ·scale + bias)·v`. Shapes: q `[B, G, R, T, D]`, k and v `[B, G, S, D]`, bias broadcast against
 * `[B, G, R, T, S]`; gives `[B, G, R, T, D]`. The R query heads that share a key head stand below one another in the
 * products, so that no key is copied.
 *
 * The gradient takes the mean of what reaches the weights from output and its gradient, `Σ dw·w = Σ dy·y` (Dao et al.
 * 2022): D numbers instead of S.
 */
export function attend(q_BGRTD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, scale: number, bias: Tensor): Tensor {
  const [rows = 0, kvHeads = 0, shared = 0, length = 0, headDim = 0] = q_BGRTD.shape;
  const stack = (x: Tensor): Tensor => x.reshape([rows, kvHeads, shared * length, -1]);
  const spread = (x: Tensor): Tensor => x.reshape([rows, kvHeads, shared, length, -1]);
  return withGradient(
    [q_BGRTD, k_BGSD, v_BGSD],
    () => {
      const scores_BGRTS = spread(stack(q_BGRTD).matMul(k_BGSD, false, true));
      const weights_BGRTS = tf.softmax(scores_BGRTS.mul(scale).add(bias));
      const y_BGRTD = spread(stack(weights_BGRTS).matMul(v_BGSD));
      return { value: y_BGRTD, saved: [q_BGRTD, k_BGSD, v_BGSD, weights_BGRTS, y_BGRTD] };
    },
    (dy, [q, k, v, weights, y]) => {
      const dWeights = spread(stack(dy).matMul(v, false, true));
      const mean_BGRT1 = dy.mul(y).sum(-1, true);
      const dScores = stack(weights.mul(dWeights.sub(mean_BGRT1)).mul(scale));
      const dv = stack(weights).matMul(stack(dy), true, false);
      return [spread(dScores.matMul(k)), dScores.matMul(stack(q), true, false), dv];
    },
  );
}
