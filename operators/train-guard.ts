import { z } from 'zod';
import type { GuardSettings } from '../model/spike-guard.ts';

/** How `trainStep` guards weights against steps that would spoil them. */
export interface TrainGuard extends GuardSettings {
  /** Steps until the batch of a skipped one is tried again; 0 for never. */
  readonly retryAfter: number;
}

export const guardSchema: z.ZodType<TrainGuard> = z.strictObject({
  sigma: z
    .number()
    .positive()
    .default(6)
    .describe('A step is a spike where its loss is so many standard deviations above the mean.'),
  gradientSigma: z.number().positive().default(12).describe("The same of the logarithm of the gradient's norm."),
  window: z.int().min(2).default(128).describe('Steps that mean and deviation are taken over.'),
  retryAfter: z
    .int()
    .nonnegative()
    .default(32)
    .describe('Steps until the batch of a skipped step is tried once more; 0: its records are dead letters at once.'),
});

export const GUARDED: TrainGuard = { sigma: 6, gradientSigma: 12, window: 128, retryAfter: 32 };
