import type { Scalar, Tensor } from '@tensorflow/tfjs-node';
import { tf } from './tf.ts';

/** L2 norm of all tensors as one vector. */
export function globalNorm(tensors: readonly Tensor[]): Scalar {
  return tf.addN(tensors.map((tensor) => tensor.square().sum<Scalar>())).sqrt();
}

/** What to multiply gradients with so that their norm is at most `limit` (Pascanu et al. 2013). */
export function clipScale(norm: Scalar, limit: number): Scalar {
  return tf.minimum<Scalar>(1, tf.scalar(limit).div(norm.add(1e-6)));
}
