import type { TokenBatch } from '../../operators/types.ts';

/** A batch of one row of two tokens, whose first id tells it from others; it stands for so many records from that offset on. */
export function smallBatch(id: number, records: number): TokenBatch {
  return {
    rows: 1,
    context: 2,
    ids: Int32Array.of(id, 1),
    targets: Int32Array.of(1, 2),
    lossMask: Float32Array.of(1, 1),
    byteCount: 8,
    spans: [{ topic: 'text', partition: 0, from: id, to: id + records }],
    timestampMs: id,
  };
}
