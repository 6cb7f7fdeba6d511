import { defer, of } from 'rxjs';
import type { Observable } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import type {
  Clock,
  LogReader,
  PartitionOffsets,
  Position,
  Topic,
  TopicLog,
  TopicRetention,
  TopicSettings,
  Transactions,
} from '../../operators/ports.ts';
import type { Coordinates, NewRecord } from '../../operators/types.ts';
import { checkGroup, checkTransactionalId, definedRetention } from '../topic-rules.ts';
import { Changes } from './changes.ts';
import { committedPositions, positionsWriter } from './groups.ts';
import { EmbeddedReader } from './reader.ts';
import { RecordWriter } from './record-writer.ts';
import { Retention } from './retention.ts';
import { Storage } from './storage.ts';
import type { Durability } from './storage.ts';
import { Topics } from './topics.ts';
import { openTransactions } from './transactions.ts';

export interface EmbeddedLogOptions {
  /** When `produce` and `commit` resolve; `process` by default. */
  readonly durability?: Durability;
  /** Key and value together; 16 MiB by default. */
  readonly maxRecordBytes?: number;
  readonly clock?: Clock;
}

const DEFAULT_MAX_RECORD_BYTES = 16 * 1024 * 1024;

/**
 * Opens the log in a folder, and makes it when there is none. Any number of processes of one machine may have it open,
 * produce and read at once; the folder must be on a local disk.
 *
 * Guarantees. Order: by offset within a partition, without gaps. Atomicity: the records of one `produce` become visible
 * together or not at all, and no offset is ever given twice. Waiting polls are woken at once by a produce through the
 * same handle, within 25 ms by another process.
 *
 * Durability, with `process`: what `produce` has acknowledged outlives the process, SIGKILL included, and is flushed to
 * the disk right after; a loss of power can take the last moments with it, but leaves the log whole. With `power`:
 * acknowledged means flushed.
 *
 * Errors: `disk-full` and `log-failed`, after which nothing of the call was written, and those named at `TopicLog`.
 */
export async function openEmbeddedLog(directory: string, options: EmbeddedLogOptions = {}): Promise<TopicLog> {
  return new EmbeddedLog(await Storage.open(directory, options.durability ?? 'process'), options);
}

class EmbeddedLog implements TopicLog {
  readonly #storage: Storage;
  readonly #topics: Topics;
  readonly #retention: Retention;
  readonly #writer: RecordWriter;
  readonly #changes = new Changes();
  #closing: Promise<void> | null = null;

  constructor(storage: Storage, options: EmbeddedLogOptions) {
    this.#storage = storage;
    this.#topics = new Topics(storage);
    const { clock = { nowMs: () => Date.now() }, maxRecordBytes = DEFAULT_MAX_RECORD_BYTES } = options;
    this.#retention = new Retention(storage, clock);
    const [topics, retention, changes] = [this.#topics, this.#retention, this.#changes];
    this.#writer = new RecordWriter({ storage, topics, retention, changes, clock, maxRecordBytes });
  }

  async createTopic(name: string, settings: TopicSettings = {}): Promise<void> {
    this.#checkOpen();
    await this.#topics.create(name, settings);
  }

  async topics(): Promise<readonly { readonly name: string; readonly partitions: number }[]> {
    this.#checkOpen();
    return this.#topics.list();
  }

  async retention(topic: string): Promise<TopicRetention> {
    this.#checkOpen();
    const { retentionBytes, retentionMs } = this.#topics.get(topic);
    return definedRetention(retentionBytes, retentionMs);
  }

  topic(name: string): Observable<Topic> {
    return defer(() => {
      this.#checkOpen();
      return of({ name, partitions: this.#topics.get(name).partitions, log: this });
    });
  }

  async produce(topic: string, records: readonly NewRecord[]): Promise<readonly Coordinates[]> {
    this.#checkOpen();
    const append = this.#writer.prepare(topic, records);
    return records.length === 0 ? [] : this.#writer.write(append);
  }

  async offsets(topic: string): Promise<readonly PartitionOffsets[]> {
    this.#checkOpen();
    const row = this.#topics.get(topic);
    const ids = Array.from({ length: row.partitions }, (_, partition) => row.firstId + partition);
    for (const id of ids) await this.#retention.expire(id, row);
    this.#checkOpen();
    this.#storage.refresh();
    return ids.map((id, partition) => {
      const { start, end } = this.#storage.partitions.get(id) ?? { start: 0, end: 0 };
      return { topic, partition, start, end };
    });
  }

  reader(from: readonly Position[]): LogReader {
    this.#checkOpen();
    const context = {
      storage: this.#storage,
      topics: this.#topics,
      retention: this.#retention,
      changes: this.#changes,
      isClosed: () => this.#closing !== null,
    };
    return new EmbeddedReader(context, from);
  }

  async commit(group: string, positions: readonly Position[]): Promise<void> {
    this.#checkOpen();
    await this.#storage.write(positionsWriter(this.#storage, this.#topics, group, positions));
  }

  async committed(group: string, topic: string): Promise<readonly Position[]> {
    this.#checkOpen();
    return committedPositions(this.#storage, this.#topics, group, topic);
  }

  async transactions(id: string, group: string): Promise<Transactions> {
    this.#checkOpen();
    checkTransactionalId(id);
    checkGroup(group);
    const [storage, topics, writer] = [this.#storage, this.#topics, this.#writer];
    return openTransactions({ storage, topics, writer, checkOpen: () => this.#checkOpen() }, id, group);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#changes.wake();
    await this.#storage.close();
  }

  #checkOpen(): void {
    if (this.#closing) throw new MillraceError('log-closed', 'This log was closed. Open it again.');
  }
}
