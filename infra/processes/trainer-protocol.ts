import type { StoredSnapshot, TrainerSnapshot } from '../../model/trainer.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import type { GuardSettings } from '../../model/spike-guard.ts';
import type { StepInput, StepResult } from '../../model/types.ts';

/** What the trainer process is asked for. `start` comes first, once. */
export type TrainerMethods = {
  readonly start: (settings: TrainerSettings) => Promise<void>;
  readonly restore: (snapshot: StoredSnapshot | null) => void;
  readonly tune: (learningRate: number) => void;
  readonly step: (asked: { readonly batch: StepInput; readonly guard?: GuardSettings }) => StepResult;
  readonly evaluate: (input: StepInput) => number;
  /** Makes the directory and writes its files there, as the model is at the call; steps may follow meanwhile. */
  readonly snapshot: (directory: string) => Promise<TrainerSnapshot>;
};
