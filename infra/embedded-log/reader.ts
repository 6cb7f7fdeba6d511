import { MillraceError } from '../../operators/errors.ts';
import type { LogReader, PartitionId, PollOptions, Position } from '../../operators/ports.ts';
import type { LogRecord } from '../../operators/types.ts';
import { offsetOutOfRange } from '../out-of-range.ts';
import type { Changes } from './changes.ts';
import { payloadBytes } from './envelope.ts';
import type { StoredRecord } from './envelope.ts';
import type { Retention } from './retention.ts';
import type { Storage } from './storage.ts';
import type { Topics } from './topics.ts';
import { PollGuard } from '../poll-guard.ts';

/** LMDB tells nobody when another process writes, so a waiting reader looks this often; one look costs microseconds. */
const LOOK_EVERY_MS = 25;
const DEFAULT_MAX_RECORDS = 1000;
const DEFAULT_MAX_BYTES = 1024 * 1024;

/** What a reader uses of its log. */
export interface ReaderContext {
  readonly storage: Storage;
  readonly topics: Topics;
  readonly retention: Retention;
  readonly changes: Changes;
  isClosed(): boolean;
}

interface Cursor extends PartitionId {
  offset: number;
  /** Read already, but too large for the poll that read it. */
  ahead: StoredRecord | null;
}

/** Reads partitions in turn, each poll from one of them. Without `waitMs` a poll does not wait. */
export class EmbeddedReader implements LogReader {
  readonly #context: ReaderContext;
  readonly #guard = new PollGuard();
  readonly #cursors: readonly Cursor[];
  #turn = 0;
  #isClosed = false;

  constructor(context: ReaderContext, from: readonly Position[]) {
    this.#context = context;
    this.#cursors = from.map(({ topic, partition, offset }) => ({ topic, partition, offset, ahead: null }));
  }

  poll(options: PollOptions = {}): Promise<readonly LogRecord[]> {
    const deadlineMs = performance.now() + (options.waitMs ?? 0);
    return this.#guard.run(this.#isOver, () => this.#pollUntil(deadlineMs, options));
  }

  positions(): readonly Position[] {
    return this.#cursors.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  }

  /** A poll that waits resolves with none. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#context.changes.wake();
  }

  get #isOver(): boolean {
    return this.#isClosed || this.#context.isClosed();
  }

  async #pollUntil(deadlineMs: number, options: PollOptions): Promise<readonly LogRecord[]> {
    const cursors = options.partition ? [this.#cursorOf(options.partition)] : this.#cursors;
    while (!this.#isOver && !options.signal?.aborted) {
      for (const { topic, partition } of cursors) await this.#expire(topic, partition);
      if (this.#isOver) break;
      const records = this.#takeFromOne(cursors, options);
      const leftMs = deadlineMs - performance.now();
      if (records.length > 0 || leftMs <= 0) return records;
      await this.#context.changes.wait(Math.min(leftMs, LOOK_EVERY_MS), options.signal);
    }
    return [];
  }

  #cursorOf({ topic, partition }: PartitionId): Cursor {
    const cursor = this.#cursors.find((each) => each.topic === topic && each.partition === partition);
    if (cursor) return cursor;
    throw new MillraceError('bad-usage', `This reader was not given ${topic}/${partition}; name it when it is made.`);
  }

  async #expire(topic: string, partition: number): Promise<void> {
    const { topics, retention } = this.#context;
    await retention.expire(topics.idOf(topic, partition), topics.get(topic));
  }

  /** Takes from the first of the cursors that has records, beginning after the one that was served last. */
  #takeFromOne(cursors: readonly Cursor[], options: PollOptions): readonly LogRecord[] {
    this.#context.storage.refresh();
    for (let tried = 0; tried < cursors.length; tried += 1) {
      const index = (this.#turn + tried) % cursors.length;
      const cursor = cursors[index];
      const records = cursor ? this.#take(cursor, options) : [];
      if (records.length === 0) continue;
      if (cursors === this.#cursors) this.#turn = index + 1;
      return records;
    }
    return [];
  }

  #take(cursor: Cursor, options: PollOptions): readonly LogRecord[] {
    const { maxRecords = DEFAULT_MAX_RECORDS, maxBytes = DEFAULT_MAX_BYTES } = options;
    const { storage, topics } = this.#context;
    const id = topics.idOf(cursor.topic, cursor.partition);
    const end = Math.min(this.#endOf(cursor, id), cursor.offset + maxRecords);
    if (cursor.offset >= end) return [];
    const taken = cursor.ahead ? [toLogRecord(cursor, cursor.offset, cursor.ahead)] : [];
    let bytes = cursor.ahead ? payloadBytes(cursor.ahead) : 0;
    cursor.ahead = null;
    for (const { key, value } of storage.records.getRange({
      start: [id, cursor.offset + taken.length],
      end: [id, end],
    })) {
      bytes += payloadBytes(value);
      if (bytes > maxBytes && taken.length > 0) {
        cursor.ahead = value;
        break;
      }
      taken.push(toLogRecord(cursor, key[1], value));
    }
    cursor.offset += taken.length;
    return taken;
  }

  /** Where the partition ends now. Throws `offset-out-of-range` when the cursor does not lie within it. */
  #endOf({ topic, partition, offset }: Cursor, id: number): number {
    const { start, end } = this.#context.storage.partitions.get(id) ?? { start: 0, end: 0 };
    if (offset < start || offset > end) throw offsetOutOfRange({ topic, partition, offset }, { start, end });
    return end;
  }
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

function toLogRecord({ topic, partition }: PartitionId, offset: number, stored: StoredRecord): LogRecord {
  const { key, value, timestampMs } = stored;
  const isPlain = stored.headers.length === 0;
  const headers = isPlain ? NO_HEADERS : Object.fromEntries(stored.headers.map((each) => [each.name, each.value]));
  return { topic, partition, offset, key, value, headers, timestampMs };
}
