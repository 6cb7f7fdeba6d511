import type { CompressionTypes, Message } from 'kafkajs';
import type { PartitionId } from '../../operators/ports.ts';
import type { NewRecord } from '../../operators/types.ts';

/** What Kafka adds to a record, at most: lengths, and its share of the batch. */
const OVERHEAD_BYTES = 64;

/** A record as kafkajs sends it, with where it goes and its size. */
export interface Outgoing extends PartitionId {
  /** Of the topic's batches. */
  readonly compression: CompressionTypes;
  readonly message: Message;
  readonly bytes: number;
}

export function toOutgoing(record: NewRecord, to: Omit<Outgoing, 'message' | 'bytes'>, nowMs: number): Outgoing {
  const { partition } = to;
  const key = toBuffer(record.key ?? null);
  const value = toBuffer(record.value);
  const headers = Object.entries(record.headers ?? {}).map(([name, text]) => [name, Buffer.from(text)] as const);
  let bytes = (key?.length ?? 0) + (value?.length ?? 0) + OVERHEAD_BYTES;
  for (const [name, text] of headers) bytes += Buffer.byteLength(name) + text.length;
  const timestamp = String(record.timestampMs ?? nowMs);
  return {
    ...to,
    bytes,
    message: { key, value, partition, timestamp, headers: Object.fromEntries(headers) },
  };
}

export function toBuffer(bytes: Uint8Array | string | null): Buffer | null {
  if (bytes === null) return null;
  return typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
