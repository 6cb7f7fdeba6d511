import { parameterShapes } from './config.ts';
import { hasMeanSquare } from './optimizer.ts';
import type { StepLimits } from './spike-guard.ts';
import type { StateCapture } from './state-capture.ts';
import type { TrainStepConfig } from './train-step.ts';
import type { StepInput } from './types.ts';

/** Values by parameter name. */
export type Values = ReadonlyMap<string, Float32Array>;

/** All that training changes. */
export interface ModelState {
  readonly weights: Values;
  /** Running mean of each gradient, and of its square where the optimizer keeps one. */
  readonly mean: Values;
  readonly meanSquare: Values;
  /** Running mean of the weights, where one is kept. */
  readonly ema?: Values;
}

export type StatePart = keyof ModelState;

/** What the trainer tells a step besides its batch; see AdamWInputs and LimitTensors. */
export interface StepScalars extends StepLimits {
  readonly lr: number;
  readonly biasCorrection1: number;
  readonly biasCorrection2: number;
  /** Share of the weights' running mean that stays; only where one is kept. */
  readonly emaDecay?: number;
}

export interface StepFigures {
  readonly loss: number;
  /** Of each target, 0 where it does not count. */
  readonly losses: Float32Array;
  readonly gradNorm: number;
  /** False when the step was skipped. */
  readonly taken: boolean;
}

/**
 * Carries out `trainStep` and holds the state between steps: op by op, or compiled into one graph. Arrays that are
 * handed over stay the caller's and may be reused.
 */
export interface StepRunner {
  load(state: ModelState): void;
  run(batch: StepInput, scalars: StepScalars): StepFigures;
  /** Mean cross-entropy of the batch in nats, as a step's loss; changes nothing. */
  evaluate(batch: StepInput): number;
  /** The state as it is now, whatever steps follow. Costs little: values are read out as they are taken. */
  capture(): StateCapture;
  dispose(): void;
}

export interface RunnerConfig extends TrainStepConfig {
  /** Keeps a running mean of the weights; `StepScalars.emaDecay` says how it moves. */
  readonly ema?: number | undefined;
}

export type StepRunnerFactory = (config: RunnerConfig) => StepRunner;

export type Shapes = ReadonlyMap<string, readonly number[]>;

/** The parts of the state that a runner holds, and the tensors of each. */
export function stateShapesOf(config: RunnerConfig): ReadonlyMap<StatePart, Shapes> {
  const all = parameterShapes(config.model);
  const { mean, meanSquare } = momentShapesOf(config);
  const parts: (readonly [StatePart, Shapes])[] = [
    ['weights', all],
    ['mean', mean],
    ['meanSquare', meanSquare],
  ];
  return new Map(config.ema === undefined ? parts : [...parts, ['ema', all]]);
}

/** What the optimizer remembers. */
export function momentShapesOf({ model, optimizer }: TrainStepConfig): Readonly<Record<'mean' | 'meanSquare', Shapes>> {
  const all = parameterShapes(model);
  return { mean: all, meanSquare: new Map([...all].filter(([name]) => hasMeanSquare(name, optimizer))) };
}
