import type { Watermark } from './ports.ts';
import type { StepReport } from './types.ts';

/** What weights have seen: how far, and how new the newest of it is. */
export interface Seen {
  readonly watermark: Watermark;
  /** When the newest record was appended, in milliseconds since the epoch; 0 for weights that have seen none. */
  readonly textAtMs: number;
}

export const nothingSeen: Seen = { watermark: {}, textAtMs: 0 };

/**
 * What weights have seen after one more batch. Records stand in batches by offset, so the last one says how far, unless the
 * batch is one that comes again.
 */
export function seenAfter({ watermark, textAtMs }: Seen, batch: Pick<StepReport, 'spans' | 'timestampMs'>): Seen {
  const after: Record<string, number> = { ...watermark };
  for (const { topic, partition, to } of batch.spans) {
    const key = `${topic}/${partition}`;
    after[key] = Math.max(after[key] ?? 0, to);
  }
  return { watermark: after, textAtMs: Math.max(textAtMs, batch.timestampMs) };
}
