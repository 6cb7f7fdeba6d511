import type { Scalar, Tensor } from '@tensorflow/tfjs-node';

export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Applied to matrices only: gains of norms keep their size. */
  readonly weightDecay: number;
}

/** A parameter, or its next value, with the running means of its gradient and of the gradient's square. */
export interface AdamWState {
  readonly parameter: Tensor;
  readonly mean: Tensor;
  readonly meanSquare: Tensor;
}

/** Numbers that change from step to step; scalars, so that a traced step can be fed with them. */
export interface AdamWInputs {
  readonly lr: Scalar;
  /** `1 − beta1^t` at the t-th update, counted from 1. */
  readonly biasCorrection1: Scalar;
  /** `1 − beta2^t` */
  readonly biasCorrection2: Scalar;
}

/** One update of AdamW with decoupled weight decay (Loshchilov & Hutter 2019). */
export function adamW(state: AdamWState, gradient: Tensor, inputs: AdamWInputs, settings: AdamWSettings): AdamWState {
  const { beta1, beta2, epsilon } = settings;
  const mean = state.mean.mul(beta1).add(gradient.mul(1 - beta1));
  const meanSquare = state.meanSquare.mul(beta2).add(gradient.square().mul(1 - beta2));
  const direction = mean.div(inputs.biasCorrection1).div(meanSquare.div(inputs.biasCorrection2).sqrt().add(epsilon));
  const decay = state.parameter.rank > 1 ? settings.weightDecay : 0;
  const change = decay > 0 ? direction.add(state.parameter.mul(decay)) : direction;
  return { parameter: state.parameter.sub(change.mul(inputs.lr)), mean, meanSquare };
}
