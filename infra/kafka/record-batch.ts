import { lookupCodecByAttributes } from 'kafkajs/src/protocol/message/compression/index.js';
import { MillraceError } from '../../operators/errors.ts';
import type { PartitionId, Position } from '../../operators/ports.ts';
import type { LogRecord } from '../../operators/types.ts';
import { ByteReader } from './byte-reader.ts';

/** A transaction that was aborted: its records are those of the producer from that offset to the marker of its end. */
export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

export interface RecordsRead {
  readonly records: readonly LogRecord[];
  /** Offset to go on from, beyond markers and holes at the end. */
  readonly next: number;
}

interface BatchHead {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly firstTimestampMs: number;
  /** Of all records, where the broker set it; else null. */
  readonly appendedAtMs: number | null;
  readonly producerId: number;
  readonly isTransactional: boolean;
  readonly isControl: boolean;
  readonly count: number;
}

/** Base offset and length, which come before what the length counts. */
const PREFIX_BYTES = 12;
/** The format since Kafka 0.11, and the only one of Kafka 4. */
const FORMAT = 2;
const APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const ABORT = 0;
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/**
 * Reads the record batches of one partition (https://kafka.apache.org/documentation/#recordbatch), from an offset on: the
 * first may begin before it, the last may be cut off, and is then left for the next time. Leaves out markers and what
 * belongs to aborted transactions. Keys and values are views of the bytes that came, unless those were compressed.
 *
 * Rejects with `log-failed` when the bytes are no record batches.
 *
 * kafkajs reads the same with several objects, big integers and strings of digits for each record, in thrice the time.
 */
export async function readRecordBatches(
  from: Position,
  bytes: Buffer,
  aborted: readonly AbortedTransaction[],
): Promise<RecordsRead> {
  const transactions = new AbortedTransactions(aborted);
  const records: LogRecord[] = [];
  let next = from.offset;
  try {
    for (const batch of wholeBatches(bytes)) {
      const reader = new ByteReader(batch);
      const { head, attributes } = readHead(reader);
      next = Math.max(next, head.lastOffset + 1);
      if (head.isControl) transactions.endWith(head, reader);
      if (head.isControl || transactions.include(head)) continue;
      const codec = lookupCodecByAttributes(attributes);
      const body = codec ? new ByteReader(await codec.decompress(batch.subarray(reader.at))) : reader;
      for (let count = head.count; count > 0; count -= 1) {
        const record = readRecord(from, head, body);
        if (record.offset >= from.offset) records.push(record);
      }
      if (body.left > 0) throw new RangeError(`${body.left} bytes are left over.`);
    }
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new MillraceError(
      'log-failed',
      `What Kafka holds of ${from.topic}/${from.partition} behind offset ${next} can't be read: ${cause.message}`,
      { cause },
    );
  }
  return { records, next };
}

function* wholeBatches(bytes: Buffer): Generator<Buffer> {
  let at = 0;
  while (bytes.length - at >= PREFIX_BYTES) {
    const end = at + PREFIX_BYTES + bytes.readInt32BE(at + 8);
    if (end > bytes.length) return;
    yield bytes.subarray(at, end);
    at = end;
  }
}

function readHead(reader: ByteReader): { readonly head: BatchHead; readonly attributes: number } {
  const baseOffset = reader.int64();
  // Its length, and the leader's epoch.
  reader.skip(8);
  const format = reader.int8();
  if (format !== FORMAT) throw new RangeError(`The records are of format ${format}; only ${FORMAT} is known.`);
  // The checksum: the broker has proved it, and on the way TCP has its own.
  reader.skip(4);
  const attributes = reader.int16();
  const lastOffset = baseOffset + reader.int32();
  const firstTimestampMs = reader.int64();
  const maxTimestampMs = reader.int64();
  const producerId = reader.int64();
  // The producer's epoch and sequence number.
  reader.skip(6);
  const head = {
    baseOffset,
    lastOffset,
    firstTimestampMs,
    appendedAtMs: attributes & APPEND_TIME ? maxTimestampMs : null,
    producerId,
    isTransactional: (attributes & TRANSACTIONAL) > 0,
    isControl: (attributes & CONTROL) > 0,
    count: reader.int32(),
  };
  return { head, attributes };
}

function readRecord({ topic, partition }: PartitionId, head: BatchHead, reader: ByteReader): LogRecord {
  reader.varint();
  // Attributes, of which there are none.
  reader.skip(1);
  const timestampMs = head.firstTimestampMs + reader.varint();
  const offset = head.baseOffset + reader.varint();
  const key = reader.bytes(reader.varint());
  const value = reader.bytes(reader.varint());
  const headers = readHeaders(reader, reader.varint());
  return { topic, partition, offset, key, value, headers, timestampMs: head.appendedAtMs ?? timestampMs };
}

/** Of headers that repeat a name the last counts; one without a value is none. */
function readHeaders(reader: ByteReader, count: number): Readonly<Record<string, string>> {
  if (count <= 0) return NO_HEADERS;
  const headers: [string, string][] = [];
  for (let left = count; left > 0; left -= 1) {
    const name = reader.bytes(reader.varint())?.toString() ?? '';
    const value = reader.bytes(reader.varint());
    if (value) headers.push([name, value.toString()]);
  }
  return Object.fromEntries(headers);
}

/** Which batches belong to aborted transactions: begun at an offset that the broker names, ended by a marker in the log. */
class AbortedTransactions {
  readonly #toCome: AbortedTransaction[];
  readonly #begun = new Set<number>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#toCome = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  }

  include({ isTransactional, producerId, lastOffset }: BatchHead): boolean {
    for (let next = this.#toCome[0]; next && next.firstOffset <= lastOffset; next = this.#toCome[0]) {
      this.#begun.add(next.producerId);
      this.#toCome.shift();
    }
    return isTransactional && this.#begun.has(producerId);
  }

  /** A marker is one record, whose key is its version and its kind. */
  endWith(head: BatchHead, reader: ByteReader): void {
    this.include(head);
    reader.varint();
    reader.skip(1);
    for (const _ of ['timestamp', 'offset', 'length of the key']) reader.varint();
    reader.skip(2);
    if (reader.int16() === ABORT) this.#begun.delete(head.producerId);
  }
}
