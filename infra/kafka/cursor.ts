import Batch from 'kafkajs/src/consumer/batch.js';
import type { FetchedPartition } from 'kafkajs/src/cluster/index.js';
import type { PartitionId, PollOptions, Position } from '../../operators/ports.ts';
import type { LogRecord } from '../../operators/types.ts';
import { toLogRecord } from './records.ts';

const DEFAULT_MAX_RECORDS = 1000;
const DEFAULT_MAX_BYTES = 1024 * 1024;

/** Where a reader is in one partition, and what it has fetched ahead of that. */
export class Cursor implements PartitionId {
  readonly topic: string;
  readonly partition: number;
  #offset: number;
  #fetchFrom: number;
  #buffer: readonly LogRecord[] = [];

  constructor({ topic, partition, offset }: Position) {
    this.topic = topic;
    this.partition = partition;
    this.#offset = offset;
    this.#fetchFrom = offset;
  }

  /** The next offset to read: beyond markers and holes as soon as they are known to be such. */
  get offset(): number {
    return this.#offset;
  }

  get fetchFrom(): number {
    return this.#fetchFrom;
  }

  get isEmpty(): boolean {
    return this.#buffer.length === 0;
  }

  /**
   * Takes in what was fetched from an offset. Returns whether that was anything, be it only markers of transactions. An
   * answer that comes when another to the same question has come before changes nothing.
   */
  fill(from: number, fetched: FetchedPartition): boolean {
    const last = fetched.messages.at(-1);
    if (!last || !this.isEmpty || from !== this.#fetchFrom) return false;
    const { messages } = new Batch(this.topic, String(from), fetched);
    this.#buffer = messages.map((message) => toLogRecord(this, message));
    // A batch whose last records were compacted away still ends where it ended.
    const { firstOffset, lastOffsetDelta } = last.batchContext ?? { firstOffset: last.offset, lastOffsetDelta: 0 };
    const next = Math.max(Number(last.offset), Number(firstOffset) + lastOffsetDelta) + 1;
    this.#fetchFrom = Math.max(from, next);
    if (this.isEmpty) this.#offset = this.#fetchFrom;
    return this.#fetchFrom > from;
  }

  take({ maxRecords = DEFAULT_MAX_RECORDS, maxBytes = DEFAULT_MAX_BYTES }: PollOptions): readonly LogRecord[] {
    let count = 0;
    let bytes = 0;
    for (const { key, value } of this.#buffer.slice(0, maxRecords)) {
      bytes += (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
      if (bytes > maxBytes && count > 0) break;
      count += 1;
    }
    const taken = this.#buffer.slice(0, count);
    this.#buffer = this.#buffer.slice(count);
    const last = taken.at(-1);
    if (last) this.#offset = this.isEmpty ? this.#fetchFrom : last.offset + 1;
    return taken;
  }
}
