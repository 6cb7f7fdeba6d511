import type { EngineSettings } from '../../model/settings.ts';
import type { EngineMeasurement } from './engine-cache.ts';

/** An engine with all that is to be chosen. */
export type CompiledEngine = Extract<EngineSettings, { mode: 'compiled' }> & { readonly threads: number };
export type Times = Omit<EngineMeasurement, 'engine'>;

export interface TuneOptions {
  /** The rule of thumb, which stands where a measurement does not say clearly otherwise or there is no time for it. */
  readonly rule: CompiledEngine;
  /** Threads that the machine runs at once. */
  readonly threads: number;
  /** Whether the processor multiplies bfloat16: where it does not, that is emulated and never faster. */
  readonly bf16: boolean;
  /** How often the parts that are measured stand in the whole model; its start takes that much longer. */
  readonly layers: number;
  /** Times an engine. */
  readonly measure: (engine: CompiledEngine) => Promise<Times>;
  /** Whether there is time for another measurement. */
  readonly mayGoOn: () => boolean;
}

export interface Tuned {
  readonly choice: EngineSettings;
  readonly measured: readonly EngineMeasurement[];
}

/** What is less than this much faster may be chance. */
const CLEARLY = 0.95;
/** A job is taken to train for so long between two starts: what an engine saves in that time pays for a longer start. */
const HORIZON_MS = 300_000;

/**
 * Chooses threads, precision and XLA by measuring, one after another, each with the best of the ones before:
 * 1. precision, where the processor has bfloat16, with all threads and without XLA;
 * 2. threads: half of them, and half again, as long as that is faster;
 * 3. XLA, if the time that it saves within the horizon is more than its longer start.
 */
export async function tuneEngine(options: TuneOptions): Promise<Tuned> {
  const { rule, threads, bf16, mayGoOn } = options;
  const measured: EngineMeasurement[] = [];
  const measure = async (engine: CompiledEngine): Promise<Times> => {
    const times = await options.measure(engine);
    measured.push({ engine, ...times });
    return times;
  };

  let best: CompiledEngine = { mode: 'compiled', precision: 'f32', xla: false, threads };
  let times = await measure(best);
  const tries = async (
    change: Partial<CompiledEngine>,
    isBetter: (a: Times, b: Times) => boolean,
  ): Promise<boolean> => {
    if (!mayGoOn()) return false;
    const candidate = { ...best, ...change };
    const candidateTimes = await measure(candidate);
    if (!isBetter(candidateTimes, times)) return false;
    [best, times] = [candidate, candidateTimes];
    return true;
  };
  const paysOff = (a: Times, b: Times): boolean => {
    const savedMs = HORIZON_MS * (1 - a.stepMs / b.stepMs);
    return isFaster(a, b) && savedMs > options.layers * (a.startMs - b.startMs);
  };

  if (bf16) await tries({ precision: 'bf16' }, isFaster);
  while (best.threads > 1 && (await tries({ threads: Math.ceil(best.threads / 2) }, isFaster)));
  const isOutOfTime = !mayGoOn();
  await tries({ xla: true }, paysOff);
  return { choice: isOutOfTime ? { ...best, xla: rule.xla } : best, measured };
}

function isFaster(a: Times, b: Times): boolean {
  return a.stepMs < CLEARLY * b.stepMs;
}
