import avro from 'avsc';

/** A record as it lies in LMDB; topic, partition and offset are its key. */
export interface StoredRecord {
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly headers: readonly StoredHeader[];
  readonly value: Buffer | null;
}

export interface StoredHeader {
  readonly name: string;
  readonly value: string;
}

/**
 * Headers are a list, not a map: avsc builds a map by assignment, which loses a header called `__proto__`. The order of
 * the fields is part of the format on disk.
 */
const envelope: avro.Type = avro.Type.forSchema({
  type: 'record',
  name: 'Record',
  namespace: 'millrace.log',
  fields: [
    { name: 'timestampMs', type: 'long' },
    { name: 'key', type: ['null', 'bytes'] },
    {
      name: 'headers',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'Header',
          fields: [
            { name: 'name', type: 'string' },
            { name: 'value', type: 'string' },
          ],
        },
      },
    },
    { name: 'value', type: ['null', 'bytes'] },
  ],
});

/** LMDB's key and node header, and the envelope's own fields, about. */
const OVERHEAD_BYTES = 48;

/** Whether a record has the types that the envelope needs; callers without TypeScript may send anything. */
export function isStorable(record: StoredRecord): boolean {
  return envelope.isValid(record);
}

export function encodeRecord(record: StoredRecord): Buffer {
  return envelope.toBuffer(record);
}

/** Reads from the start of a buffer that may be reused afterwards: what is returned owns its bytes. */
export function decodeRecord(bytes: Buffer): StoredRecord {
  return envelope.decode(bytes, 0).value;
}

/** Key and value in bytes: what limits count. */
export function payloadBytes({ key, value }: StoredRecord): number {
  return (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
}

/** What a record takes of its partition's `retentionBytes`. */
export function storedBytes(record: StoredRecord): number {
  let bytes = payloadBytes(record) + OVERHEAD_BYTES;
  for (const { name, value } of record.headers) bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  return bytes;
}
