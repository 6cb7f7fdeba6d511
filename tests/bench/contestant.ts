import { join } from 'node:path';
import { startTrainer } from '../../infra/index.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import type { StepInput } from '../../model/types.ts';
import type { Precision } from './matmul-peak.ts';
import { peakRssBytes } from './peak-rss.ts';
import { progress } from './report.ts';

/** One way to carry out training steps, in a process of its own that stays alive. */
export interface Contestant {
  readonly name: string;
  readonly precision: Precision;
  /** Trains on the batch; resolves with the loss before the update. */
  step(batch: StepInput): Promise<number>;
  peakRssBytes(): number | null;
  close(): Promise<void>;
}

/** The trainer process of a job, with fresh weights. */
export async function startMillrace(name: string, settings: TrainerSettings, scratch: string): Promise<Contestant> {
  const logger = { info: progress, warn: progress };
  const trainer = await startTrainer({ settings, stagingDir: join(scratch, name), logger });
  await trainer.restore(null);
  return {
    name,
    precision: settings.engine?.mode === 'compiled' ? settings.engine.precision : 'f32',
    step: async (batch) => (await trainer.step(batch)).loss,
    peakRssBytes: () => peakRssBytes(trainer.pid),
    close: () => trainer.close(),
  };
}
