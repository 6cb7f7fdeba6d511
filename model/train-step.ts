import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-node';
import type { AdamWInputs } from './adamw.ts';
import { clipScale, globalNorm } from './clip.ts';
import type { ModelConfig } from './config.ts';
import { ModelError } from './errors.ts';
import { counted, countTargets, lossesOf } from './loss.ts';
import type { BatchTensors } from './loss.ts';
import { select } from './ops.ts';
import { update } from './optimizer.ts';
import type { ParameterState, UpdateSettings } from './optimizer.ts';
import { mapParameters, nameParameters, parameter } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import { tf } from './tf.ts';

export interface TrainStepConfig {
  readonly model: ModelConfig;
  readonly optimizer: UpdateSettings & { readonly clipNorm: number; readonly zLoss?: number | undefined };
  /** The batch is worked off in this many parts of equal rows, one after another: less memory, same step. */
  readonly accumulate: number;
}

/** Running means of the optimizer by the names of the parameters. */
export interface Moments {
  readonly mean: Parameters;
  readonly meanSquare: Parameters;
}

export type StepTensors = BatchTensors & AdamWInputs & LimitTensors;

/** What loss and gradient norm may come to, for the step to be taken; infinite where nothing is too much. */
export interface LimitTensors {
  readonly maxLoss: Scalar;
  readonly maxGradNorm: Scalar;
}

export interface StepOutcome {
  /** Mean cross-entropy before the update, in nats. */
  readonly loss: Scalar;
  /** Cross-entropy of each target `[N]`, 0 where it does not count. */
  readonly losses: Tensor1D;
  /** Norm of the gradient before clipping. */
  readonly gradNorm: Scalar;
  /** False when loss or gradient was not finite, or beyond its limit: parameters and moments are then what they were. */
  readonly taken: Scalar;
  readonly parameters: Parameters;
  readonly moments: Moments;
}

/**
 * One training step: loss, gradient, clipping, update. A pure function of its inputs that reads no tensor back, so that
 * it runs as it stands or is traced into a graph.
 */
export function trainStep(
  config: TrainStepConfig,
  parameters: Parameters,
  moments: Moments,
  inputs: StepTensors,
): StepOutcome {
  const { loss, losses, gradients } = accumulateGradients(config, parameters, inputs);
  const gradNorm = globalNorm(Object.values(gradients));
  const taken = isTaken(loss, inputs.maxLoss).logicalAnd<Scalar>(isTaken(gradNorm, inputs.maxGradNorm));
  const scale = clipScale(gradNorm, config.optimizer.clipNorm);

  const next = Object.entries(parameters).map(([name, weight]) => {
    const mean = parameter(moments.mean, name);
    const state: ParameterState = { parameter: weight, mean, meanSquare: moments.meanSquare[name] };
    const updated = update(name, state, parameter(gradients, name).mul(scale), inputs, config.optimizer);
    return { name, state, updated };
  });
  const column = (part: keyof ParameterState): Parameters => {
    const chosen = next.flatMap(({ name, state, updated }): [string, Tensor][] => {
      const [before, after] = [state[part], updated[part]];
      return before && after ? [[name, select(taken, after, before)]] : [];
    });
    return Object.fromEntries(chosen);
  };
  const nextMoments = { mean: column('mean'), meanSquare: column('meanSquare') };
  return { loss, losses, gradNorm, taken, parameters: column('parameter'), moments: nextMoments };
}

function isTaken(figure: Scalar, limit: Scalar): Tensor {
  return tf.isFinite(figure).logicalAnd(figure.lessEqual(limit));
}

export interface LossAndGradients {
  readonly loss: Scalar;
  readonly losses: Tensor1D;
  readonly gradients: Parameters;
}

/** Loss and gradient of the whole batch, summed over its parts: those of the batch in one go, up to rounding. */
export function accumulateGradients(
  config: TrainStepConfig,
  parameters: Parameters,
  batch: BatchTensors,
): LossAndGradients {
  const count = countTargets(batch.lossMask);
  const names = Object.keys(parameters);
  let sum: LossAndGradients | undefined;
  for (const part of splitRows(batch, config.accumulate)) {
    const ofWeights = (...weights: Tensor[]): Tensor1D =>
      lossesOf(nameParameters(names, weights), config.model, part, config.optimizer.zLoss);
    const share = part.lossMask.flatten().div<Tensor1D>(count);
    const { value, grads } = tf.valueAndGrads(ofWeights)(Object.values(parameters), share);
    const losses = counted(value, part);
    const loss = losses.sum<Scalar>().div<Scalar>(count);
    const fresh = { loss, losses, gradients: nameParameters(names, grads) };
    sum = sum ? add(sum, fresh) : fresh;
  }
  if (!sum) throw new ModelError('config-invalid', '`accumulate` must be 1 or more.');
  return sum;
}

function add(a: LossAndGradients, b: LossAndGradients): LossAndGradients {
  return {
    loss: a.loss.add(b.loss),
    losses: a.losses.concat(b.losses),
    gradients: mapParameters(a.gradients, (gradient, name) => gradient.add(parameter(b.gradients, name))),
  };
}

function splitRows(batch: BatchTensors, parts: number): readonly BatchTensors[] {
  const [rows = 0] = batch.ids.shape;
  if (rows % parts !== 0) {
    const message = `A batch of ${rows} rows does not divide into ${parts} parts: choose another \`accumulate\`.`;
    throw new ModelError('shape-mismatch', message);
  }
  if (parts === 1) return [batch];
  const take = (tensor: Tensor, part: number): Tensor => tensor.slice([(part * rows) / parts], [rows / parts]);
  return Array.from({ length: parts }, (_, part) => ({
    ids: take(batch.ids, part),
    targets: take(batch.targets, part),
    lossMask: take(batch.lossMask, part),
    ...(batch.segments && { segments: take(batch.segments, part) }),
  }));
}
