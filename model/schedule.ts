import { z } from 'zod';

/** How a rate decays: by a line, or by one less the square root of the share that is done (Hägele et al. 2024). */
export type DecayShape = 'linear' | '1-sqrt';

export const decaySchema: z.ZodType<DecayShape> = z.enum(['linear', '1-sqrt']);

/**
 * Warm-up, constant, decay (WSD; Hu et al. 2024), all in tokens seen, so that it does not depend on the batch size. A
 * stream that never ends has no decay: leave `totalTokens` and `decayTokens` out.
 */
export interface ScheduleSettings {
  /** The rate rises linearly over this many tokens. */
  readonly warmupTokens: number;
  /** The decay ends here. */
  readonly totalTokens?: number | undefined;
  /** Length of the decay. */
  readonly decayTokens?: number | undefined;
  /** Linear when absent. */
  readonly decay?: DecayShape | undefined;
  /** What is left of the rate after the decay. */
  readonly finalFraction: number;
}

export const scheduleSchema: z.ZodType<ScheduleSettings> = z
  .strictObject({
    warmupTokens: z.int().nonnegative(),
    totalTokens: z.int().positive().optional(),
    decayTokens: z.int().positive().optional(),
    decay: decaySchema.optional(),
    finalFraction: z.number().min(0).max(1),
  })
  .refine((schedule) => (schedule.totalTokens === undefined) === (schedule.decayTokens === undefined), {
    path: ['decayTokens'],
    message: 'totalTokens and decayTokens belong together: give both or neither',
  })
  .refine(({ warmupTokens, decayTokens = 0, totalTokens = Infinity }) => warmupTokens + decayTokens <= totalTokens, {
    path: ['totalTokens'],
    message: 'totalTokens must hold warm-up and decay',
  });

/** The share of the peak rate after so many tokens, the current batch's among them. */
export function rateFraction(schedule: ScheduleSettings, tokens: number): number {
  const { warmupTokens, totalTokens, decayTokens, decay = 'linear', finalFraction } = schedule;
  if (tokens < warmupTokens) return tokens / warmupTokens;
  if (totalTokens === undefined || decayTokens === undefined) return 1;
  const left = Math.min(Math.max(totalTokens - tokens, 0) / decayTokens, 1);
  const share = decay === 'linear' ? left : 1 - Math.sqrt(1 - left);
  return finalFraction + (1 - finalFraction) * share;
}
