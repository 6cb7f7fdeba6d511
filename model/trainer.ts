import { join } from 'node:path';
import { z } from 'zod';
import { checkStepInput } from './check-input.ts';
import { compiledRunner } from './compiled-runner.ts';
import type { ModelConfig } from './config.ts';
import { eagerRunner } from './eager-runner.ts';
import { ModelError } from './errors.ts';
import { growModel, growthBetween } from './growth.ts';
import { initialWeights } from './init.ts';
import { emaDecayAt } from './ema.ts';
import { respellModel } from './respell-model.ts';
import type { OldTokens } from './tokenizer/respelling.ts';
import { readOptimizer, streamOptimizer } from './weights/optimizer-file.ts';
import type { OptimizerValues } from './weights/optimizer-file.ts';
import { rateFraction } from './schedule.ts';
import { parseTrainerSettings } from './settings.ts';
import type { EngineSettings, TrainerSettings } from './settings.ts';
import { NOTHING_SEEN, NO_LIMITS, faultOf, limitsOf, windowAfter } from './spike-guard.ts';
import type { GuardSettings, GuardWindow } from './spike-guard.ts';
import { momentShapesOf } from './step-runner.ts';
import type { ModelState, StepRunner, StepRunnerFactory, Values } from './step-runner.ts';
import type { StepInput, StepResult } from './types.ts';
import { readWeights, requireSameModel, streamWeights } from './weights/weights-file.ts';

const weightsFile = 'weights.safetensors';
const optimizerFile = 'optimizer.safetensors';
const emaFile = 'ema.safetensors';

/** What training counts. JSON can carry it. */
export type TrainerState = {
  readonly format: 1;
  readonly steps: number;
  /** Steps that were not skipped; the optimizer's bias correction depends on them. */
  readonly updates: number;
  /** Counted targets of all steps; the schedule depends on them. */
  readonly tokens: number;
  /** Of the newest steps, where they are guarded. */
  readonly recent?: GuardWindow;
};

export interface TrainerSnapshot {
  readonly state: TrainerState;
  readonly files: readonly { readonly name: string; readonly path: string }[];
}

/** A snapshot as it comes back: the state as JSON, and where each file lies now. */
export interface StoredSnapshot {
  readonly state: unknown;
  readonly files: Readonly<Record<string, string>>;
  /** Which tokens of its weights each token of the model comes from, where they are of another vocabulary. */
  readonly vocabulary?: readonly OldTokens[] | undefined;
}

/**
 * Trains one model in this process, synchronously. Same settings, same batches, same machine: the same weights to the
 * bit, also across a snapshot.
 */
export interface ModelTrainer {
  /**
   * Starts from a snapshot, or from fresh weights when there is none; comes before all else. Throws `state-invalid`,
   * `weights-corrupt` or `weights-mismatch` and stays what it was.
   */
  restore(snapshot: StoredSnapshot | null): void;
  /** Sets the peak of the schedule for the steps to come. */
  tune(learningRate: number): void;
  /**
   * Skips the step where loss or gradient is not finite, or is a spike by the guard. Throws `shape-mismatch` or `input-invalid`
   * for a batch that the model cannot take; it has then done nothing.
   */
  step(input: StepInput, guard?: GuardSettings): StepResult;
  /** The batch's loss as a step would report it, without the step. Throws as `step` does. */
  evaluate(input: StepInput): number;
  /**
   * Writes weights, optimizer and the running mean of the weights, where one is kept, into the directory: as they are at
   * the call, whatever steps follow while it writes. Rejects with errors of the disk as they are.
   */
  snapshot(directory: string): Promise<TrainerSnapshot>;
  dispose(): void;
}

const count = z.int().nonnegative();
const stateSchema: z.ZodType<TrainerState> = z.strictObject({
  format: z.literal(1),
  steps: count,
  updates: count,
  tokens: count,
  recent: z.object({ losses: z.array(z.number()), gradNorms: z.array(z.number()) }).exactOptional(),
});

/** Throws `config-invalid` when the settings are not valid. A runner that is given takes the place of the engine's. */
export function createTrainer(settings: TrainerSettings, runnerOf?: StepRunnerFactory): ModelTrainer {
  const parsed = parseTrainerSettings(settings);
  return new Trainer(parsed, runnerOf ?? runnerFor(parsed.engine));
}

function runnerFor(engine: EngineSettings = { mode: 'eager' }): StepRunnerFactory {
  return engine.mode === 'eager' ? eagerRunner : compiledRunner(engine);
}

class Trainer implements ModelTrainer {
  #settings: TrainerSettings;
  readonly #runner: StepRunner;
  #state: TrainerState | null = null;

  constructor(settings: TrainerSettings, runnerOf: StepRunnerFactory) {
    this.#settings = settings;
    this.#runner = runnerOf(settings);
  }

  restore(snapshot: StoredSnapshot | null): void {
    const state = snapshot ? parseState(snapshot.state) : ({ format: 1, steps: 0, updates: 0, tokens: 0 } as const);
    this.#runner.load(snapshot ? this.#read(snapshot) : this.#fresh());
    this.#state = state;
  }

  tune(learningRate: number): void {
    const { optimizer } = this.#settings;
    this.#settings = parseTrainerSettings({ ...this.#settings, optimizer: { ...optimizer, learningRate } });
  }

  step(input: StepInput, guard?: GuardSettings): StepResult {
    const state = this.#restored();
    const { model, optimizer, schedule, ema } = this.#settings;
    checkStepInput(input, model);
    const tokens = input.lossMask.reduce((sum, counted) => sum + counted, 0);
    const lr = optimizer.learningRate * rateFraction(schedule, state.tokens + tokens);
    const recent = state.recent ?? NOTHING_SEEN;
    const limits = guard ? limitsOf(recent, guard) : NO_LIMITS;
    const figures = this.#runner.run(input, {
      ...limits,
      lr,
      biasCorrection1: 1 - optimizer.beta1 ** (state.updates + 1),
      biasCorrection2: 1 - optimizer.beta2 ** (state.updates + 1),
      ...(ema === undefined ? {} : { emaDecay: emaDecayAt(ema, state.updates) }),
    });
    this.#state = {
      format: 1,
      steps: state.steps + 1,
      updates: state.updates + (figures.taken ? 1 : 0),
      tokens: state.tokens + tokens,
      ...(guard ? { recent: windowAfter(recent, figures, limits, guard) } : {}),
    };
    const { loss, losses, gradNorm, taken } = figures;
    const fault = taken ? null : faultOf(figures, limits);
    return { step: this.#state.steps, loss, losses, gradNorm, lr, tokens, skipped: !taken, fault };
  }

  evaluate(input: StepInput): number {
    this.#restored();
    checkStepInput(input, this.#settings.model);
    return this.#runner.evaluate(input);
  }

  async snapshot(directory: string): Promise<TrainerSnapshot> {
    const state = this.#restored();
    const { model } = this.#settings;
    const capture = this.#runner.capture();
    const path = (name: string): string => join(directory, name);
    const names = [weightsFile, optimizerFile, ...(capture.has('ema') ? [emaFile] : [])];
    try {
      await streamWeights(path(weightsFile), model, (name) => capture.take('weights', name));
      const take = capture.take.bind(capture);
      await streamOptimizer(path(optimizerFile), momentShapesOf(this.#settings), take);
      if (capture.has('ema')) await streamWeights(path(emaFile), model, (name) => capture.take('ema', name));
    } finally {
      capture.dispose();
    }
    return { state, files: names.map((name) => ({ name, path: path(name) })) };
  }

  dispose(): void {
    this.#runner.dispose();
    this.#state = null;
  }

  #restored(): TrainerState {
    if (this.#state) return this.#state;
    throw new ModelError('state-invalid', 'The trainer has no weights yet: call `restore` first.');
  }

  #fresh(): ModelState {
    const weights = initialWeights(this.#settings.model, this.#settings.seed);
    return { weights, ...nothingLearnt(weights), ema: weights };
  }

  /** A running mean that is kept from now on begins with the weights. */
  #read(snapshot: StoredSnapshot): ModelState {
    const { files, vocabulary } = snapshot;
    const { model, ema, seed, grows = false } = this.#settings;
    const path = fileOf(files, weightsFile);
    const { config, weights } = readWeights(path);
    const isOther = grows || vocabulary !== undefined;
    if (!isOther) requireSameModel(path, config, model);
    const moments = isUntouched(snapshot)
      ? nothingLearnt(weights)
      : readOptimizer(fileOf(files, optimizerFile), momentShapesOf({ ...this.#settings, model: config }));
    const kept = ema === undefined ? undefined : files[emaFile];
    const read = { weights, ...moments, ema: kept === undefined ? weights : readSameModel(kept, config) };
    const spelled = vocabulary ? respellModel(read, config, vocabulary) : { state: read, config };
    if (growthBetween(spelled.config, model).changes.length === 0) return spelled.state;
    return growModel(spelled.state, spelled.config, model, seed);
  }
}

/** Weights that come from elsewhere, and no update has changed yet, have no optimizer. */
function isUntouched({ state, files }: StoredSnapshot): boolean {
  return parseState(state).updates === 0 && files[optimizerFile] === undefined;
}

function nothingLearnt(weights: Values): OptimizerValues {
  const zeros = new Map([...weights].map(([name, values]) => [name, new Float32Array(values.length)]));
  return { mean: zeros, meanSquare: zeros };
}

function readSameModel(path: string, model: ModelConfig): Values {
  const { config, weights } = readWeights(path);
  requireSameModel(path, config, model);
  return weights;
}

function parseState(state: unknown): TrainerState {
  const parsed = stateSchema.safeParse(state);
  if (parsed.success) return parsed.data;
  const message = `The trainer's state is not valid: use another checkpoint.\n${z.prettifyError(parsed.error)}`;
  throw new ModelError('state-invalid', message);
}

function fileOf(files: Readonly<Record<string, string>>, name: string): string {
  const path = files[name];
  if (path !== undefined) return path;
  throw new ModelError('state-invalid', `The snapshot lacks the file "${name}": use another checkpoint.`);
}
