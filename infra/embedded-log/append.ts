import { MillraceError } from '../../operators/errors.ts';
import type { Clock } from '../../operators/ports.ts';
import type { Coordinates, NewRecord } from '../../operators/types.ts';
import { isStorable, payloadBytes, storedBytes } from './envelope.ts';
import type { StoredRecord } from './envelope.ts';
import type { Retention } from './retention.ts';
import type { PartitionRow, Storage, TopicRow } from './storage.ts';

/** A record that has passed every check, and the partition that it goes to. */
export interface Appendable {
  readonly partition: number;
  readonly record: StoredRecord;
}

/** Throws `record-too-large`, or `bad-usage` for what no record can hold. */
export function toStored(topic: string, record: NewRecord, clock: Clock, maxRecordBytes: number): StoredRecord {
  const stored = {
    timestampMs: record.timestampMs ?? clock.nowMs(),
    key: toBuffer(record.key ?? null),
    headers: Object.entries(record.headers ?? {}).map(([name, value]) => ({ name, value })),
    value: toBuffer(record.value),
  };
  if (!isStorable(stored)) {
    throw new MillraceError(
      'bad-usage',
      `A record for topic ${topic} is not well formed: key and value must be bytes, text or null, headers text, the ` +
        'timestamp whole milliseconds.',
    );
  }
  const bytes = payloadBytes(stored);
  if (bytes <= maxRecordBytes) return stored;
  throw new MillraceError(
    'record-too-large',
    `A record of ${bytes} bytes does not fit into topic ${topic}: the limit is ${maxRecordBytes}. Split the text, or ` +
      'open the log with a greater maxRecordBytes.',
  );
}

/** Inside a write transaction: allots offsets, writes the records, and lets retention drop the oldest. */
export function append(
  storage: Storage,
  retention: Retention,
  topic: TopicRow & { readonly name: string },
  appendables: readonly Appendable[],
): readonly Coordinates[] {
  const rows = new Map<number, PartitionRow>();
  const coordinates: Coordinates[] = [];
  for (const { partition, record } of appendables) {
    const id = topic.firstId + partition;
    const row = rows.get(id) ?? storage.partitions.get(id) ?? { start: 0, end: 0, bytes: 0 };
    storage.records.putSync([id, row.end], record);
    coordinates.push({ topic: topic.name, partition, offset: row.end });
    rows.set(id, { ...row, end: row.end + 1, bytes: row.bytes + storedBytes(record) });
  }
  for (const [id, row] of rows) storage.partitions.putSync(id, retention.trim(id, row, topic));
  return coordinates;
}

function toBuffer(bytes: Uint8Array | string | null): Buffer | null {
  if (bytes === null) return null;
  return typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
