import { z } from 'zod';
import { decaySchema } from '../../model/schedule.ts';
import type { DecayShape } from '../../model/schedule.ts';

/** A learning rate that falls to zero at a planned end (WSD); a stream without one is endless. */
export interface ScheduleSpec {
  /** Tokens that the job is to have trained on when the rate has fallen. */
  readonly tokens: number;
  /** Share of them over which it falls. */
  readonly decayShare: number;
  readonly decay: DecayShape;
  /** Over which it rises; the preset's when absent. */
  readonly warmupTokens?: number | undefined;
}

/** `endless` says what is the case without it. */
export const scheduleSpecSchema: z.ZodType<ScheduleSpec | undefined> = z.union(
  [
    z.literal('endless').transform(() => undefined),
    z
      .strictObject({
        tokens: z.int().positive(),
        decayShare: z.number().gt(0).max(1).default(0.2),
        decay: decaySchema.default('1-sqrt'),
        warmupTokens: z.int().nonnegative().optional(),
      })
      .refine(({ tokens, decayShare, warmupTokens = 0 }) => warmupTokens <= tokens - Math.round(tokens * decayShare), {
        path: ['warmupTokens'],
        message: 'must be over when the rate begins to fall: raise tokens, or lower decayShare',
      }),
  ],
  { error: 'must be endless, or { tokens, decayShare: 0.2, decay: 1-sqrt } for a planned end' },
);
