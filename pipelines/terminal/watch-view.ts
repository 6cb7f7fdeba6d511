import { z } from 'zod';
import type { Json } from '../../operators/types.ts';
import { count, counted, duration, figure } from './format.ts';

const figuresSchema = z.object({
  steps: z.number(),
  bitsPerByte: z.number().nullable(),
  tokensPerSecond: z.number().nullable(),
  deadLetters: z.number(),
  lag: z.number(),
});

const progressSchema = z.object({
  phase: z.literal('watch'),
  windowMs: z.number(),
  watchedMs: z.number(),
  before: figuresSchema,
  now: figuresSchema,
});

/** How a watch goes, on one line; null for progress of something else. */
export function watchLine(progress: Json): string | null {
  const parsed = progressSchema.safeParse(progress);
  if (!parsed.success) return null;
  const { windowMs, watchedMs, before, now } = parsed.data;
  return [
    `watched ${duration(watchedMs)} of ${duration(windowMs)}: ${counted(now.steps, 'step')}`,
    `${figure(now.bitsPerByte)} bits/byte (${figure(before.bitsPerByte)} before)`,
    `${pace(now.tokensPerSecond)} tokens/s (${pace(before.tokensPerSecond)})`,
    counted(now.deadLetters, 'dead letter'),
    `lag ${count(now.lag)} (${count(before.lag)})`,
  ].join('  ');
}

function pace(value: number | null): string {
  return value === null ? '–' : count(value);
}
