import type { PartitionId, PollOptions, Position } from '../../operators/ports.ts';
import type { LogRecord } from '../../operators/types.ts';
import type { Fetched } from './fetch.ts';

const DEFAULT_MAX_RECORDS = 1000;
const DEFAULT_MAX_BYTES = 1024 * 1024;
/** What a record takes of the memory besides its key and value, about. */
const OBJECT_BYTES = 200;

/** Where a reader is in one partition, and what it has fetched ahead of that. */
export class Cursor implements PartitionId {
  readonly topic: string;
  readonly partition: number;
  #offset: number;
  #fetchFrom: number;
  /** Where the partition ended when it was last asked. */
  #end: number;
  #held: readonly LogRecord[] = [];
  /** How many of them were taken. */
  #taken = 0;
  #heldBytes = 0;

  constructor({ topic, partition, offset }: Position) {
    this.topic = topic;
    this.partition = partition;
    this.#offset = offset;
    this.#fetchFrom = offset;
    this.#end = offset;
  }

  /** The next offset to read: beyond markers and holes as soon as they are known to be such. */
  get offset(): number {
    return this.#offset;
  }

  /** Where the next answer is wanted from. */
  get fetchFrom(): Position {
    return { topic: this.topic, partition: this.partition, offset: this.#fetchFrom };
  }

  get isEmpty(): boolean {
    return this.#taken === this.#held.length;
  }

  /** Whether the partition is known to have more than was fetched. */
  get hasMore(): boolean {
    return this.#fetchFrom < this.#end;
  }

  /** Memory of what is held. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Takes in what was fetched. Returns whether that was anything, be it only markers of transactions. An answer that comes
   * when another to the same question has come before changes nothing.
   */
  fill({ from, records, next, end }: Fetched): boolean {
    if (from.offset !== this.#fetchFrom) return false;
    // An answer without a whole batch is that of a partition that has no more now, whatever it was said to have.
    this.#end = next > from.offset ? end : next;
    this.#fetchFrom = next;
    this.#held = this.isEmpty ? records : [...this.#held.slice(this.#taken), ...records];
    this.#taken = 0;
    for (const record of records) this.#heldBytes += bytesOf(record) + OBJECT_BYTES;
    if (this.isEmpty) this.#offset = next;
    return next > from.offset;
  }

  /**
   * Takes the records that fit. None as long as more would fit and the partition is known to have more: so where the pieces
   * end depends on the log and on the limits alone, not on how much came with which answer.
   */
  take({ maxRecords = DEFAULT_MAX_RECORDS, maxBytes = DEFAULT_MAX_BYTES }: PollOptions): readonly LogRecord[] {
    const wanted = Math.min(this.#held.length, this.#taken + maxRecords);
    let end = this.#taken;
    let bytes = 0;
    for (; end < wanted; end += 1) {
      const record = this.#held[end];
      bytes += record ? bytesOf(record) : 0;
      if (bytes > maxBytes && end > this.#taken) break;
    }
    const isFull = end < this.#held.length || end - this.#taken === maxRecords;
    return isFull || !this.hasMore ? this.#takeTo(end) : [];
  }

  #takeTo(end: number): readonly LogRecord[] {
    const taken = this.#held.slice(this.#taken, end);
    this.#taken = end;
    for (const record of taken) this.#heldBytes -= bytesOf(record) + OBJECT_BYTES;
    const last = taken.at(-1);
    if (last) this.#offset = this.isEmpty ? this.#fetchFrom : last.offset + 1;
    return taken;
  }
}

function bytesOf({ key, value }: LogRecord): number {
  return (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
}
