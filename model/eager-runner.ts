import type { Tensor } from '@tensorflow/tfjs-node';
import { moveEma } from './ema.ts';
import { countTargets, lossOf } from './loss.ts';
import { mapParameters } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import { StateCapture } from './state-capture.ts';
import { stateShapesOf } from './step-runner.ts';
import type { ModelState, RunnerConfig, StatePart, StepFigures, StepRunner, StepScalars } from './step-runner.ts';
import { tf } from './tf.ts';
import { trainStep } from './train-step.ts';
import { toBatchTensors, toParameters } from './to-tensors.ts';
import type { StepInput } from './types.ts';

type State = Readonly<Record<StatePart, Parameters>>;
const nothing: State = { weights: {}, mean: {}, meanSquare: {}, ema: {} };

/** Runs the step operation by operation: the readable reference that a compiled step is held to. */
export function eagerRunner(config: RunnerConfig): StepRunner {
  const held = stateShapesOf(config);
  const parts = [...held.keys()];
  let state = nothing;
  const replace = (next: State): void => {
    for (const part of parts) tf.dispose(state[part]);
    state = next;
  };

  return {
    load(values: ModelState): void {
      const uploaded = [...held].map(
        ([part, shapes]) => [part, toParameters(values[part] ?? values.weights, shapes)] as const,
      );
      replace({ ...nothing, ...Object.fromEntries(uploaded) });
    },

    run(batch: StepInput, scalars: StepScalars): StepFigures {
      return tf.tidy(() => {
        const inputs = {
          ...toBatchTensors(batch),
          lr: tf.scalar(scalars.lr),
          biasCorrection1: tf.scalar(scalars.biasCorrection1),
          biasCorrection2: tf.scalar(scalars.biasCorrection2),
          maxLoss: tf.scalar(scalars.maxLoss),
          maxGradNorm: tf.scalar(scalars.maxGradNorm),
        };
        const { weights, mean, meanSquare, ema } = state;
        const outcome = trainStep(config, weights, { mean, meanSquare }, inputs);
        const moved = moveEma(ema, outcome.parameters, tf.scalar(scalars.emaDecay ?? 1), outcome.taken);
        replace({
          weights: mapParameters(outcome.parameters, tf.keep),
          mean: mapParameters(outcome.moments.mean, tf.keep),
          meanSquare: mapParameters(outcome.moments.meanSquare, tf.keep),
          ema: mapParameters(moved, tf.keep),
        });
        return {
          loss: value(outcome.loss),
          losses: outcome.losses.dataSync<'float32'>(),
          gradNorm: value(outcome.gradNorm),
          taken: value(outcome.taken) === 1,
        };
      });
    },

    evaluate(batch: StepInput): number {
      return tf.tidy(() => {
        const tensors = toBatchTensors(batch);
        return value(lossOf(state.weights, config.model, tensors, countTargets(tensors.lossMask)));
      });
    },

    capture(): StateCapture {
      const copies = parts.map((part) => [part, mapParameters(state[part], (tensor) => tensor.clone())] as const);
      return new StateCapture(Object.fromEntries(copies));
    },

    dispose: () => replace(nothing),
  };
}

function value(scalar: Tensor): number {
  return scalar.dataSync()[0] ?? NaN;
}
