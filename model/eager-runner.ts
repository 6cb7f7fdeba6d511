import type { Tensor } from '@tensorflow/tfjs-node';
import { parameterShapes } from './config.ts';
import { mapParameters } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import type { ModelState, StepFigures, StepRunner, StepScalars, Values } from './step-runner.ts';
import { tf } from './tf.ts';
import { trainStep } from './train-step.ts';
import type { Moments, TrainStepConfig } from './train-step.ts';
import { toBatchTensors, toParameters } from './to-tensors.ts';
import type { StepInput } from './types.ts';

/** Runs the step operation by operation: the readable reference that a compiled step is held to. */
export function eagerRunner(config: TrainStepConfig): StepRunner {
  let parameters: Parameters = {};
  let moments: Moments = { mean: {}, meanSquare: {} };
  const disposeState = (): void => tf.dispose([parameters, moments.mean, moments.meanSquare]);
  const upload = (values: Values): Parameters => toParameters(values, parameterShapes(config.model));

  return {
    load(state: ModelState): void {
      disposeState();
      parameters = upload(state.weights);
      moments = { mean: upload(state.mean), meanSquare: upload(state.meanSquare) };
    },

    run(batch: StepInput, scalars: StepScalars): StepFigures {
      return tf.tidy(() => {
        const inputs = {
          ...toBatchTensors(batch),
          lr: tf.scalar(scalars.lr),
          biasCorrection1: tf.scalar(scalars.biasCorrection1),
          biasCorrection2: tf.scalar(scalars.biasCorrection2),
        };
        const outcome = trainStep(config, parameters, moments, inputs);
        disposeState();
        parameters = mapParameters(outcome.parameters, tf.keep);
        moments = {
          mean: mapParameters(outcome.moments.mean, tf.keep),
          meanSquare: mapParameters(outcome.moments.meanSquare, tf.keep),
        };
        return { loss: value(outcome.loss), gradNorm: value(outcome.gradNorm), finite: value(outcome.finite) === 1 };
      });
    },

    read(): ModelState {
      return { weights: download(parameters), mean: download(moments.mean), meanSquare: download(moments.meanSquare) };
    },

    dispose: disposeState,
  };
}

function value(scalar: Tensor): number {
  return scalar.dataSync()[0] ?? NaN;
}

function download(parameters: Parameters): Map<string, Float32Array> {
  return new Map(Object.entries(parameters).map(([name, tensor]) => [name, tensor.dataSync<'float32'>().slice()]));
}
