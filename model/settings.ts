import { z } from 'zod';
import type { AdamWSettings } from './adamw.ts';
import { modelConfigSchema } from './config.ts';
import type { ModelConfig } from './config.ts';
import { ModelError } from './errors.ts';
import { scheduleSchema } from './schedule.ts';
import type { ScheduleSettings } from './schedule.ts';

export interface OptimizerSettings extends AdamWSettings {
  /** Peak of the schedule. */
  readonly learningRate: number;
  /** Gradients longer than this are shortened to it. */
  readonly clipNorm: number;
}

/** All that a trainer depends on besides its data. */
export interface TrainerSettings {
  readonly model: ModelConfig;
  /** Of the first weights. */
  readonly seed: number;
  readonly optimizer: OptimizerSettings;
  readonly schedule: ScheduleSettings;
  /** Parts that a batch is worked off in; must divide its rows. */
  readonly accumulate: number;
}

const decayRate = z.number().min(0).lt(1);

export const optimizerSchema: z.ZodType<OptimizerSettings> = z.strictObject({
  learningRate: z.number().positive(),
  beta1: decayRate,
  beta2: decayRate,
  epsilon: z.number().positive(),
  weightDecay: z.number().nonnegative(),
  clipNorm: z.number().positive(),
});

export const trainerSettingsSchema: z.ZodType<TrainerSettings> = z.strictObject({
  model: modelConfigSchema,
  seed: z.int(),
  optimizer: optimizerSchema,
  schedule: scheduleSchema,
  accumulate: z.int().positive(),
});

/** Reads settings that come from outside; throws `config-invalid` and names every field that is wrong. */
export function parseTrainerSettings(value: unknown): TrainerSettings {
  const parsed = trainerSettingsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ModelError('config-invalid', `The trainer's settings are not valid:\n${z.prettifyError(parsed.error)}`);
}
