import type { Clock } from '../../operators/ports.ts';
import type { Coordinates, NewRecord } from '../../operators/types.ts';
import { Partitioner } from '../partitioner.ts';
import { append, toStored } from './append.ts';
import type { Changes } from './changes.ts';
import type { Retention } from './retention.ts';
import type { Storage } from './storage.ts';
import type { Topics } from './topics.ts';

export interface RecordWriterOptions {
  readonly storage: Storage;
  readonly topics: Topics;
  readonly retention: Retention;
  readonly changes: Changes;
  readonly clock: Clock;
  readonly maxRecordBytes: number;
}

/** Puts records into partitions, in two steps: what may fail comes before the write transaction. */
export class RecordWriter {
  readonly #options: RecordWriterOptions;
  readonly #partitioner = new Partitioner();

  constructor(options: RecordWriterOptions) {
    this.#options = options;
  }

  /** Checks records and chooses their partitions; what it returns appends them, inside `write`. */
  prepare(topic: string, records: readonly NewRecord[]): () => readonly Coordinates[] {
    const { storage, topics, retention, clock, maxRecordBytes } = this.#options;
    const row = topics.get(topic);
    const appendables = records.map((record) => {
      const stored = toStored(topic, record, clock, maxRecordBytes);
      const partition = record.partition ?? this.#partitioner.choose(topic, row.partitions, stored.key);
      return { partition: topics.idOf(topic, partition) - row.firstId, record: stored };
    });
    return () => append(storage, retention, { ...row, name: topic }, appendables);
  }

  /** Runs `action` in a write transaction, and wakes who waits for records. */
  async write<T>(action: () => T): Promise<T> {
    const result = await this.#options.storage.write(action);
    this.#options.changes.wake();
    return result;
  }
}
