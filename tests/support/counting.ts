import type { LogRecord } from '../../operators/index.ts';
import { PUBLISHER, SEQUENCE } from '../../operators/published.ts';

/**
 * Of a publisher's records those that count: where a job has gone back, what it published anew carries a greater number
 * behind `~`, and takes the place of what had the same numbers before, and of what followed that.
 */
export function counting(records: readonly LogRecord[]): readonly LogRecord[] {
  const timelines = [...new Set(records.map(timelineOf))].toSorted((a, b) => a - b);
  let counted: readonly LogRecord[] = [];
  for (const timeline of timelines) {
    const own = records.filter((record) => timelineOf(record) === timeline);
    const first = Math.min(...own.map(sequenceOf));
    counted = [...counted.filter((record) => sequenceOf(record) < first), ...own];
  }
  return counted;
}

function timelineOf({ headers }: LogRecord): number {
  return Number(/~(\d+)$/.exec(headers[PUBLISHER] ?? '')?.[1] ?? 0);
}

function sequenceOf({ headers }: LogRecord): number {
  return Number(headers[SEQUENCE]);
}
