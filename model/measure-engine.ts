import { Random } from './random.ts';
import type { EngineSettings, TrainerSettings } from './settings.ts';
import { createTrainer } from './trainer.ts';
import type { StepInput } from './types.ts';

/** What one engine takes on this machine. */
export interface EngineTimes {
  /** From nothing to the end of the first step. */
  readonly startMs: number;
  /** The fastest of some steps after that, which says most on a machine that does other things too. */
  readonly stepMs: number;
}

const WARM_UP_STEPS = 2;
const LEAST_STEPS = 3;
const MOST_STEPS = 30;
/** Steps are taken until they have lasted this long together. */
const ENOUGH_MS = 400;

/** Times steps of an engine on weights that are thrown away, with random tokens. Nothing else is touched. */
export function measureEngine(
  settings: TrainerSettings,
  engine: EngineSettings,
  shape: { readonly rows: number; readonly context: number },
): EngineTimes {
  const batch = randomBatch(settings.model.vocabSize, shape);
  const beganMs = performance.now();
  const trainer = createTrainer({ ...settings, engine });
  try {
    trainer.restore(null);
    trainer.step(batch);
    const startMs = performance.now() - beganMs;
    for (let step = 0; step < WARM_UP_STEPS; step++) trainer.step(batch);
    const times: number[] = [];
    let lastedMs = 0;
    while (times.length < LEAST_STEPS || (lastedMs < ENOUGH_MS && times.length < MOST_STEPS)) {
      const fromMs = performance.now();
      trainer.step(batch);
      times.push(performance.now() - fromMs);
      lastedMs += times.at(-1) ?? 0;
    }
    return { startMs, stepMs: Math.min(...times) };
  } finally {
    trainer.dispose();
  }
}

function randomBatch(vocabSize: number, { rows, context }: { rows: number; context: number }): StepInput {
  const random = new Random(1);
  const draw = (): Int32Array => Int32Array.from({ length: rows * context }, () => random.bits() % vocabSize);
  return { rows, context, ids: draw(), targets: draw(), lossMask: new Float32Array(rows * context).fill(1) };
}
