import { z } from 'zod';
import type { Scalar, ScalarEvent } from '../../infra/index.ts';
import type { LogRecord } from '../../operators/types.ts';
import { jsonOf, textOf } from './published.ts';

/** These say where and when a record belongs, and are no series of their own. */
const PLACES: ReadonlySet<string> = new Set(['step', 'timestampMs']);

const objectSchema = z.record(z.string(), z.unknown());
const stepSchema = z.looseObject({ step: z.int().nonnegative() });

/**
 * The numbers that stand in a record's JSON object, named by topic and path: `metrics/loss`, `metrics/totals/bits`. They belong
 * to the object's `step`, or to that of an object in it, as a snapshot's; where there is none, to the record's offset. Null for
 * a record without numbers. Lists are left out: they are no series.
 */
export function scalarsOf({ topic, offset, timestampMs, value }: LogRecord): ScalarEvent | null {
  const text = value && textOf(value);
  const parsed = objectSchema.safeParse(text ? jsonOf(text) : null);
  if (!parsed.success) return null;
  const scalars = numbersIn(topic, parsed.data);
  if (scalars.length === 0) return null;
  return { atMs: timestampMs, step: stepOf(parsed.data) ?? offset, scalars };
}

function numbersIn(path: string, object: Readonly<Record<string, unknown>>): Scalar[] {
  return Object.entries(object).flatMap(([key, value]): Scalar[] => {
    if (PLACES.has(key)) return [];
    const tag = `${path}/${key}`;
    if (typeof value === 'number') return Number.isFinite(value) ? [{ tag, value }] : [];
    const inner = objectSchema.safeParse(value);
    return inner.success && !Array.isArray(value) ? numbersIn(tag, inner.data) : [];
  });
}

function stepOf(object: Readonly<Record<string, unknown>>): number | null {
  for (const candidate of [object, ...Object.values(object)]) {
    const parsed = stepSchema.safeParse(candidate);
    if (parsed.success) return parsed.data.step;
  }
  return null;
}
