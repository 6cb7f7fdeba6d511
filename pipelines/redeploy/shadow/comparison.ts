import { z } from 'zod';
import type { Bars } from '../../spec/deploy.ts';
import { bitsPerByte, tokensPerSecond } from '../watch/vital-signs.ts';
import type { Vitals } from '../watch/vital-signs.ts';
import { worse } from '../watch/worse.ts';

/** How one of the two did over the same records. */
export interface ShadowFigures {
  readonly steps: number;
  readonly bitsPerByte: number | null;
  /** At the same time as the other, while there was something to train. */
  readonly tokensPerSecond: number | null;
  readonly deadLetters: number;
}

/** A candidate beside the graph that runs. */
export interface Comparison {
  /** Better: fewer bits per byte, and nothing worse than the bars allow. */
  readonly verdict: 'better' | 'alike' | 'worse';
  /** In which way it is worse; null where it is not. */
  readonly reason: string | null;
  readonly running: ShadowFigures;
  readonly candidate: ShadowFigures;
}

const figuresSchema: z.ZodType<ShadowFigures> = z.object({
  steps: z.number(),
  bitsPerByte: z.number().nullable(),
  tokensPerSecond: z.number().nullable(),
  deadLetters: z.number(),
});

export const comparisonSchema: z.ZodType<Comparison> = z.object({
  verdict: z.enum(['better', 'alike', 'worse']),
  reason: z.string().nullable(),
  running: figuresSchema,
  candidate: figuresSchema,
});

/** Compares two stretches over the same records; a candidate that has failed says why. */
export function compare(bars: Bars, running: Vitals, candidate: Vitals, failure: string | null): Comparison {
  const idle = candidate.steps === 0 && running.steps > 0 ? 'it trained no step' : null;
  const reason = failure ?? idle ?? worse(bars, running, candidate, { isOver: true, leastSteps: 1 });
  const [old, own] = [bitsPerByte(running), bitsPerByte(candidate)];
  const isBetter = reason === null && old !== null && own !== null && own < old;
  return {
    verdict: reason === null ? (isBetter ? 'better' : 'alike') : 'worse',
    reason,
    running: figuresOf(running),
    candidate: figuresOf(candidate),
  };
}

function figuresOf(vitals: Vitals): ShadowFigures {
  const { steps, deadLetters } = vitals;
  return { steps, bitsPerByte: bitsPerByte(vitals), tokensPerSecond: tokensPerSecond(vitals), deadLetters };
}
