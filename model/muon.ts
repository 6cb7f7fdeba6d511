import type { Scalar, Tensor } from '@tensorflow/tfjs-node';
import { tf } from './tf.ts';

export interface MuonSettings {
  /** What stays of the running mean of gradients at each update. */
  readonly momentum: number;
  /** Share of a matrix that is taken off at each update, times the learning rate. */
  readonly weightDecay: number;
}

/** A matrix `[out, in]`, or its next value, with the running mean of its gradient. */
export interface MuonState {
  readonly parameter: Tensor;
  readonly mean: Tensor;
}

/**
 * One update of Muon (Jordan et al. 2024): the running mean of the gradient, a step ahead as Nesterov has it, moves the
 * matrix in all its directions by as much. A matrix with more rows than columns moves by √(rows ÷ columns) as much, so
 * that what it gives out changes as with a square one.
 */
export function muon(state: MuonState, gradient: Tensor, lr: Scalar, settings: MuonSettings): MuonState {
  const { momentum, weightDecay } = settings;
  const [rows = 1, columns = 1] = state.parameter.shape;
  const mean = state.mean.mul(momentum).add(gradient.mul(1 - momentum));
  const ahead = mean.mul(momentum).add(gradient.mul(1 - momentum));
  const direction = orthogonalize(ahead).mul(Math.sqrt(Math.max(1, rows / columns)));
  const change = weightDecay > 0 ? direction.add(state.parameter.mul(weightDecay)) : direction;
  return { parameter: state.parameter.sub(change.mul(lr)), mean };
}

/** `x → a·x + b·x³ + c·x⁵` brings every singular value that is not tiny close to 1 within five rounds. */
const A = 3.4445;
const B = -4.775;
const C = 2.0315;
const ROUNDS = 5;

/**
 * The matrix with its singular values brought to about 1 (0.7 to 1.2), its singular vectors as they are: the
 * Newton-Schulz iteration of Jordan et al. 2024, which needs products only and may be rounded to bfloat16.
 */
export function orthogonalize(matrix: Tensor): Tensor {
  const [rows = 1, columns = 1] = matrix.shape;
  const isTall = rows > columns;
  // On the side that is shorter; what is added to x is put into the factor, so that the rest is products.
  const same = tf.eye(Math.min(rows, columns)).mul(A);
  let x = matrix.div(matrix.square().sum().sqrt().add(1e-7));
  for (let round = 0; round < ROUNDS; round++) {
    const square = tf.matMul(x, x, isTall, !isTall);
    // TensorFlow would take a sum of three apart again.
    const factor = tf.matMul(square, square).mul(C).sub(square.mul(-B).sub(same));
    x = isTall ? tf.matMul(x, factor) : tf.matMul(factor, x);
  }
  return x;
}
