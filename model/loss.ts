import type { Scalar, Tensor } from '@tensorflow/tfjs-node';
import type { ModelConfig } from './config.ts';
import { crossEntropy } from './ops.ts';
import type { Parameters } from './parameters.ts';
import { tf } from './tf.ts';
import { forward } from './transformer.ts';

/** One batch as tensors; `[B, T]` each. Targets must be ids of the vocabulary even where the mask hides them. */
export interface BatchTensors {
  readonly ids: Tensor;
  readonly targets: Tensor;
  readonly lossMask: Tensor;
  readonly segments?: Tensor;
}

/** Cross-entropy in nats, summed over the counted targets and divided by `count`. */
export function lossOf(parameters: Parameters, config: ModelConfig, batch: BatchTensors, count: Scalar): Scalar {
  const options = batch.segments ? { segments_BT: batch.segments } : {};
  const logits_NV = forward(parameters, config, batch.ids, options);
  const loss_N = crossEntropy(logits_NV, batch.targets.flatten());
  return loss_N.mul(batch.lossMask.flatten()).sum<Scalar>().div(count);
}

/** Counted targets, at least 1: a batch without any has loss 0 and no gradient. */
export function countTargets(lossMask: Tensor): Scalar {
  return tf.maximum(lossMask.sum<Scalar>(), 1);
}
