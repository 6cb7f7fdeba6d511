import { z } from 'zod';
import { MillraceError } from './errors.ts';

type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd';
type SizeUnit = 'B' | 'KB' | 'MB' | 'GB';

/** Milliseconds, or a number with a unit: `250ms`, `60s`, `5m`, `1h`, `7d`. */
export type Duration = number | `${number}${DurationUnit}`;

/** Bytes, or a number with a unit of 1024: `512B`, `64KB`, `2MB`, `1GB`. */
export type ByteSize = number | `${number}${SizeUnit}`;

const MILLISECONDS: Readonly<Record<DurationUnit, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES: Readonly<Record<SizeUnit, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

const DURATION = 'must be a duration with a unit, such as 500ms, 60s or 5m';
const SIZE = 'must be a size with a unit, such as 64KB or 2MB';

/** Template literals look at a number's form only, not at its checks. */
const isNotNegative = (text: string): boolean => !text.startsWith('-');

/** A duration in a graph: always with its unit, since a bare number would leave the reader guessing. */
export const durationSchema: z.ZodType<Duration> = z
  .templateLiteral([z.number(), z.enum(['ms', 's', 'm', 'h', 'd'])], { error: DURATION })
  .refine(isNotNegative, { error: DURATION });

/** A size in a graph, with its unit. */
export const byteSizeSchema: z.ZodType<ByteSize> = z
  .templateLiteral([z.number(), z.enum(['B', 'KB', 'MB', 'GB'])], { error: SIZE })
  .refine(isNotNegative, { error: SIZE });

export function toMs(duration: Duration): number {
  return typeof duration === 'number' ? duration : scale(duration, MILLISECONDS, 'duration such as 500ms, 60s or 5m');
}

export function toBytes(size: ByteSize): number {
  return typeof size === 'number' ? size : Math.round(scale(size, BYTES, 'size such as 64KB or 2MB'));
}

function scale(text: string, factors: Readonly<Record<string, number>>, wanted: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text) ?? [];
  const factor = factors[unit];
  if (amount === undefined || factor === undefined) {
    throw new MillraceError('bad-usage', `"${text}" is not a ${wanted}.`);
  }
  return Number(amount) * factor;
}
