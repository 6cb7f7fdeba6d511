import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-node';
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

/** Cross-entropy of every target in nats `[N]`, whether it counts or not; `zLoss` is in its gradient only. */
export function lossesOf(parameters: Parameters, config: ModelConfig, batch: BatchTensors, zLoss?: number): Tensor1D {
  const options = batch.segments ? { segments_BT: batch.segments } : {};
  const logits_NV = forward(parameters, config, batch.ids, options);
  return crossEntropy(logits_NV, batch.targets.flatten(), zLoss).as1D();
}

/** Cross-entropy in nats, summed over the counted targets and divided by `count`. */
export function lossOf(parameters: Parameters, config: ModelConfig, batch: BatchTensors, count: Scalar): Scalar {
  return counted(lossesOf(parameters, config, batch), batch)
    .sum<Scalar>()
    .div(count);
}

/** What belongs to a target, or 0 where that does not count. */
export function counted(losses_N: Tensor1D, { lossMask }: BatchTensors): Tensor1D {
  return losses_N.mul(lossMask.flatten());
}

/** Counted targets, at least 1: a batch without any has loss 0 and no gradient. */
export function countTargets(lossMask: Tensor): Scalar {
  return tf.maximum(lossMask.sum<Scalar>(), 1);
}
