import { z } from 'zod';
import { modelConfigSchema } from './config.ts';
import type { ModelConfig } from './config.ts';
import { ModelError } from './errors.ts';
import type { UpdateSettings } from './optimizer.ts';
import { scheduleSchema } from './schedule.ts';
import type { ScheduleSettings } from './schedule.ts';

export interface OptimizerSettings extends UpdateSettings {
  /** Peak of the schedule: of hidden matrices, where Muon moves those. */
  readonly learningRate: number;
  /** Weight of the squared logarithm of the softmax's sum in the gradient; see `crossEntropy`. None when absent. */
  readonly zLoss?: number | undefined;
  /** Gradients longer than this are shortened to it. */
  readonly clipNorm: number;
}

/** How steps are carried out: op by op, or as one graph; see `compiledRunner`. The same state belongs to either. */
export type EngineSettings =
  | { readonly mode: 'eager' }
  | {
      readonly mode: 'compiled';
      /** `bf16` multiplies matrices in bfloat16; weights and optimizer stay in float32. */
      readonly precision: 'f32' | 'bf16';
      /** Compiles what stands between the products of matrices: a slower start, faster steps. */
      readonly xla: boolean;
      /** Threads of the process that trains, as many as it has processors when absent. Rounding depends on them. */
      readonly threads?: number;
    };

/** All that a trainer depends on besides its data. */
export interface TrainerSettings {
  readonly model: ModelConfig;
  /** Of the first weights. */
  readonly seed: number;
  readonly optimizer: OptimizerSettings;
  readonly schedule: ScheduleSettings;
  /** Parts that a batch is worked off in; must divide its rows. */
  readonly accumulate: number;
  /** Keeps a running mean of the weights beside them, of which so much stays at each update; none when absent. */
  readonly ema?: number | undefined;
  /** Whether weights of a smaller model are grown when they are restored, as `growModel` does; else they are refused. */
  readonly grows?: boolean | undefined;
  /** Op by op when absent. */
  readonly engine?: EngineSettings | undefined;
}

const decayRate = z.number().min(0).lt(1);
const share = z.number().positive();

export const optimizerSchema: z.ZodType<OptimizerSettings> = z.strictObject({
  learningRate: z.number().positive(),
  beta1: decayRate,
  beta2: decayRate,
  epsilon: z.number().positive(),
  weightDecay: z.number().nonnegative(),
  clipNorm: z.number().positive(),
  zLoss: z.number().nonnegative().optional(),
  muon: z.strictObject({ momentum: decayRate, embedding: share, head: share, gains: share }).optional(),
});

export const engineSchema: z.ZodType<EngineSettings> = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('eager') }),
  z.strictObject({
    mode: z.literal('compiled'),
    precision: z.enum(['f32', 'bf16']),
    xla: z.boolean(),
    threads: z.int().positive().exactOptional(),
  }),
]);

export const emaSchema: z.ZodType<number> = z.number().gt(0).lt(1);

export const trainerSettingsSchema: z.ZodType<TrainerSettings> = z.strictObject({
  model: modelConfigSchema,
  seed: z.int(),
  optimizer: optimizerSchema,
  schedule: scheduleSchema,
  accumulate: z.int().positive(),
  ema: emaSchema.optional(),
  grows: z.boolean().optional(),
  engine: engineSchema.optional(),
});

/** Reads settings that come from outside; throws `config-invalid` and names every field that is wrong. */
export function parseTrainerSettings(value: unknown): TrainerSettings {
  const parsed = trainerSettingsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ModelError('config-invalid', `The trainer's settings are not valid:\n${z.prettifyError(parsed.error)}`);
}
