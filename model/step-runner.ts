import type { TrainStepConfig } from './train-step.ts';
import type { StepInput } from './types.ts';

/** Values by parameter name. */
export type Values = ReadonlyMap<string, Float32Array>;

/** All that training changes. */
export interface ModelState {
  readonly weights: Values;
  /** Running mean of each gradient, and of its square. */
  readonly mean: Values;
  readonly meanSquare: Values;
}

/** What the trainer tells a step besides its batch; see AdamWInputs. */
export interface StepScalars {
  readonly lr: number;
  readonly biasCorrection1: number;
  readonly biasCorrection2: number;
}

export interface StepFigures {
  readonly loss: number;
  readonly gradNorm: number;
  /** False when the step was skipped. */
  readonly finite: boolean;
}

/**
 * Carries out `trainStep` and holds the state between steps: op by op, or compiled into one graph. Arrays that are
 * handed over stay the caller's and may be reused; arrays that are handed out are the caller's too.
 */
export interface StepRunner {
  load(state: ModelState): void;
  run(batch: StepInput, scalars: StepScalars): StepFigures;
  read(): ModelState;
  dispose(): void;
}

export type StepRunnerFactory = (config: TrainStepConfig) => StepRunner;
