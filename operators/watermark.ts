import type { Watermark } from './ports.ts';
import type { StepReport } from './types.ts';

/** What weights have seen: how far, and how new the newest of it is. */
export interface Seen {
  readonly watermark: Watermark;
  /** When the newest record was appended, in milliseconds since the epoch; 0 for weights that have seen none. */
  readonly textAtMs: number;
}

export const nothingSeen: Seen = { watermark: {}, textAtMs: 0 };

/** What weights have seen after one more batch. Records stand in batches by offset, so the last one says how far. */
export function seenAfter({ watermark, textAtMs }: Seen, batch: Pick<StepReport, 'spans' | 'timestampMs'>): Seen {
  const ends = batch.spans.map(({ topic, partition, to }): [string, number] => [`${topic}/${partition}`, to]);
  return {
    watermark: { ...watermark, ...Object.fromEntries(ends) },
    textAtMs: Math.max(textAtMs, batch.timestampMs),
  };
}
