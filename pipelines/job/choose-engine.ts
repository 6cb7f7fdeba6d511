import { cpus, loadavg } from 'node:os';
import { multipliesBfloat16, startTuner, thisMachine } from '../../infra/index.ts';
import type { Machine, Tuner } from '../../infra/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import { presets } from '../../model/presets.ts';
import type { PresetName } from '../../model/presets.ts';
import type { EngineSettings, TrainerSettings } from '../../model/settings.ts';
import { stepVersion } from '../../model/step-version.ts';
import { describeEngine } from './describe-engine.ts';
import { EngineCache } from './engine-cache.ts';
import type { EngineKey } from './engine-cache.ts';
import { suitableEngine } from './suitable-engine.ts';
import { tuneEngine } from './tune-engine.ts';
import type { CompiledEngine, Times } from './tune-engine.ts';

export interface ChooseEngineOptions {
  readonly preset: PresetName;
  /** Of the trainer that the engine is for; their engine is of no account. */
  readonly settings: TrainerSettings;
  readonly batch: { readonly rows: number; readonly context: number };
  readonly onProgress: (message: string) => void;
  readonly signal: AbortSignal;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly cache?: EngineCache;
  readonly machine?: Machine;
  /** Whether the machine is so busy with other things that times say little. */
  readonly isBusy?: () => boolean;
  /** Starts what measures with so many threads. */
  readonly start?: (threads: number) => Tuner;
}

/** No measurement is begun later than this; one that has begun is ended. */
const BUDGET_MS: Readonly<Record<PresetName, number>> = {
  nano: 6000,
  small: 12_000,
  base: 40_000,
  'fast-nano': 6000,
  'fast-small': 12_000,
  'fast-base': 40_000,
};

/**
 * The engine that suits this machine: what was measured here before, for the same step, preset and shape of batches; else
 * it is measured now, in processes of its own, on throw-away weights of a model of one layer, and kept in the user's
 * cache. The rule of thumb stands, and nothing is kept, where `MILLRACE_AUTOTUNE=off` says so, where the machine is busy
 * (unless `MILLRACE_AUTOTUNE=on`), and where measuring fails.
 */
export async function chooseEngine(options: ChooseEngineOptions): Promise<EngineSettings> {
  const { preset, environment = process.env, cache = new EngineCache(), machine = thisMachine() } = options;
  const rule = suitableEngine(preset, machine);
  const wish = environment['MILLRACE_AUTOTUNE'];
  if (wish === 'off') return rule;
  const key = keyOf(options, machine);
  const known = await cache.find(key);
  if (known) return known.choice;
  const { isBusy = () => (loadavg()[0] ?? 0) > cpus().length } = options;
  if (wish !== 'on' && isBusy()) {
    options.onProgress(
      `The engine is ${describeEngine(rule)} by rule: this machine is too busy to measure what suits it ` +
        '(MILLRACE_AUTOTUNE=on does so all the same).',
    );
    return rule;
  }
  options.onProgress(`Measuring which engine suits this machine and preset ${preset}; this is done once...`);
  try {
    const tuned = await measureAll(options, rule, machine);
    if (options.signal.aborted) return rule;
    await cache.keep({ key, ...tuned });
    options.onProgress(`Chosen: ${describeEngine(tuned.choice)}. millrace doctor shows it again.`);
    return tuned.choice;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    options.onProgress(`The engine could not be measured and is ${describeEngine(rule)} by rule: ${reason}`);
    return rule;
  }
}

/** What a choice for these settings on this machine is kept under. */
function keyOf({ preset: name, settings, batch }: ChooseEngineOptions, machine: Machine): EngineKey {
  const { model, accumulate } = settings;
  const preset = sizesOf(model) === sizesOf(presets[name].model) ? name : `${name}-${sizesOf(model)}`;
  return { machine, step: stepVersion(), preset, vocabSize: model.vocabSize, ...batch, accumulate };
}

function sizesOf({ layers, hiddenSize, heads, intermediateSize }: ModelConfig): string {
  return [layers, hiddenSize, heads, intermediateSize].join('-');
}

async function measureAll(
  options: ChooseEngineOptions,
  rule: CompiledEngine,
  machine: Machine,
): ReturnType<typeof tuneEngine> {
  const { preset, settings, batch, signal, onProgress } = options;
  const { start = (threads) => startTuner(threads, { info: onProgress, warn: onProgress }) } = options;
  const tuners = new Map<number, Tuner>();
  const startedMs = performance.now();
  const measure = async (engine: CompiledEngine): Promise<Times> => {
    const tuner = tuners.get(engine.threads) ?? start(engine.threads);
    tuners.set(engine.threads, tuner);
    const { layers: _layers, ...model } = settings.model;
    const times = await tuner.measure({
      settings: { ...settings, model: { ...model, layers: 1 } },
      engine,
      shape: batch,
    });
    onProgress(`  ${describeEngine(engine)}: ${times.stepMs.toFixed(1)} ms a step of one layer`);
    return times;
  };
  try {
    return await tuneEngine({
      rule,
      threads: machine.threads,
      bf16: multipliesBfloat16(machine),
      layers: settings.model.layers,
      measure,
      mayGoOn: () => !signal.aborted && performance.now() - startedMs < BUDGET_MS[preset],
    });
  } finally {
    await Promise.all([...tuners.values()].map((tuner) => tuner.close()));
  }
}
