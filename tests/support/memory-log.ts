import { Subject, defer, firstValueFrom, fromEvent, merge, timer } from 'rxjs';
import type { Observable } from 'rxjs';
import { Partitioner } from '../../infra/partitioner.ts';
import { MillraceError } from '../../operators/errors.ts';
import type {
  LogReader,
  PartitionOffsets,
  PollOptions,
  Position,
  Topic,
  TopicLog,
  TopicRetention,
  TopicSettings,
  Transactions,
} from '../../operators/ports.ts';
import type { Coordinates, LogRecord, NewRecord } from '../../operators/types.ts';

interface StoredTopic {
  readonly settings: TopicSettings;
  readonly partitions: Partition[];
}

/** Records from `start` on; the ones before have been dropped. */
interface Partition {
  start: number;
  records: LogRecord[];
}

const MAX_RECORD_BYTES = 16 * 1024 * 1024;

/** What all handles on one log share. */
class Storage {
  readonly topics = new Map<string, StoredTopic>();
  readonly commits = new Map<string, Map<string, Position>>();
  readonly partitioner = new Partitioner();
  readonly changes = new Subject<void>();
  /** How often transactions were opened, by their id. */
  readonly producers = new Map<string, number>();

  topic(name: string): StoredTopic {
    const topic = this.topics.get(name);
    if (!topic) throw new MillraceError('topic-missing', `There is no topic ${name}.`);
    return topic;
  }

  partition(name: string, partition: number): Partition {
    const found = this.topic(name).partitions[partition];
    if (!found) throw new MillraceError('topic-missing', `Topic ${name} has no partition ${partition}.`);
    return found;
  }
}

/** A log in memory, for tests of operators. `another()` opens it a second time; `close()` closes one handle only. */
export class MemoryLog implements TopicLog {
  readonly #storage: Storage;
  #isClosed = false;

  constructor(shared?: MemoryLog) {
    this.#storage = shared ? shared.#storage : new Storage();
  }

  another(): MemoryLog {
    return new MemoryLog(this);
  }

  async createTopic(name: string, settings: TopicSettings = {}): Promise<void> {
    if (!/^[A-Za-z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..') {
      throw new MillraceError('bad-usage', `"${name}" cannot be the name of a topic.`);
    }
    const existing = this.#storage.topics.get(name);
    const wanted = settings.partitions ?? existing?.partitions.length ?? 1;
    if (existing && existing.partitions.length !== wanted) {
      throw new MillraceError('topic-mismatch', `Topic ${name} has ${existing.partitions.length} partitions.`);
    }
    if (existing) return;
    const partitions = Array.from({ length: wanted }, (): Partition => ({ start: 0, records: [] }));
    this.#storage.topics.set(name, { settings, partitions });
  }

  async topics(): Promise<readonly { readonly name: string; readonly partitions: number }[]> {
    return [...this.#storage.topics].map(([name, { partitions }]) => ({ name, partitions: partitions.length }));
  }

  async retention(topic: string): Promise<TopicRetention> {
    const { partitions: _partitions, ...retention } = this.#storage.topic(topic).settings;
    return retention;
  }

  topic(name: string): Observable<Topic> {
    return defer(async () => ({ name, partitions: this.#storage.topic(name).partitions.length, log: this }));
  }

  async produce(topic: string, records: readonly NewRecord[]): Promise<readonly Coordinates[]> {
    this.#checkOpen();
    const { partitions, settings } = this.#storage.topic(topic);
    const placed = records.map((record) => {
      const key = toBytes(record.key ?? null);
      const partition = record.partition ?? this.#storage.partitioner.choose(topic, partitions.length, key);
      const { value, headers = {}, timestampMs = Date.now() } = record;
      return { to: this.#storage.partition(topic, partition), partition, key, value, headers, timestampMs };
    });
    const coordinates = placed.map(({ to, partition, value, ...rest }) => {
      const at = { topic, partition, offset: to.start + to.records.length };
      to.records.push({ ...rest, ...at, value: toBytes(value) });
      return at;
    });
    for (const partition of partitions) dropOldest(partition, settings);
    if (records.length > 0) this.#storage.changes.next();
    return coordinates;
  }

  /** Drops the records of a partition before an offset, as retention does. */
  drop({ topic, partition, offset }: Position): void {
    const found = this.#storage.partition(topic, partition);
    found.records.splice(0, offset - found.start);
    found.start = offset;
  }

  async offsets(topic: string): Promise<readonly PartitionOffsets[]> {
    return this.#storage.topic(topic).partitions.map(({ start, records }, partition) => {
      return { topic, partition, start, end: start + records.length };
    });
  }

  reader(from: readonly Position[]): LogReader {
    return new MemoryReader(this.#storage, from, () => this.#isClosed);
  }

  async commit(group: string, positions: readonly Position[]): Promise<void> {
    const committed = this.#storage.commits.get(group) ?? new Map<string, Position>();
    for (const position of positions) committed.set(`${position.topic}/${position.partition}`, position);
    this.#storage.commits.set(group, committed);
  }

  async committed(group: string, topic: string): Promise<readonly Position[]> {
    this.#storage.topic(topic);
    return [...(this.#storage.commits.get(group)?.values() ?? [])]
      .filter((position) => position.topic === topic)
      .toSorted((a, b) => a.partition - b.partition);
  }

  async transactions(id: string, group: string): Promise<Transactions> {
    this.#checkOpen();
    const epoch = (this.#storage.producers.get(id) ?? 0) + 1;
    this.#storage.producers.set(id, epoch);
    return {
      commit: async ({ records, positions }) => {
        this.#checkOpen();
        if (this.#storage.producers.get(id) !== epoch) {
          throw new MillraceError('producer-fenced', `Somebody else has opened ${id}.`);
        }
        for (const { topic, partition = 0, value } of records) {
          this.#storage.partition(topic, partition);
          if ((value?.length ?? 0) > MAX_RECORD_BYTES) throw new MillraceError('record-too-large', 'Too large.');
        }
        const coordinates: Coordinates[] = [];
        for (const { topic, ...record } of records) coordinates.push(...(await this.produce(topic, [record])));
        await this.commit(group, positions);
        return coordinates;
      },
      close: async () => {},
    };
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new MillraceError('log-closed', 'This log was closed.');
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#storage.changes.next();
  }
}

class MemoryReader implements LogReader {
  readonly #storage: Storage;
  readonly #positions: Position[];
  readonly #logIsClosed: () => boolean;
  #turn = 0;
  #isPolling = false;
  #isClosed = false;

  constructor(storage: Storage, from: readonly Position[], logIsClosed: () => boolean) {
    this.#storage = storage;
    this.#positions = [...from];
    this.#logIsClosed = logIsClosed;
  }

  async poll(options: PollOptions = {}): Promise<readonly LogRecord[]> {
    if (this.#isOver) throw new MillraceError('log-closed', 'This reader was closed.');
    if (this.#isPolling) throw new MillraceError('bad-usage', 'One poll at a time.');
    this.#isPolling = true;
    try {
      return await this.#pollUntil(performance.now() + (options.waitMs ?? 0), options);
    } finally {
      this.#isPolling = false;
    }
  }

  positions(): readonly Position[] {
    return [...this.#positions];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#storage.changes.next();
  }

  get #isOver(): boolean {
    return this.#isClosed || this.#logIsClosed();
  }

  async #pollUntil(deadlineMs: number, options: PollOptions): Promise<readonly LogRecord[]> {
    while (!this.#isOver && !options.signal?.aborted) {
      const records = this.#takeInTurn(options);
      const leftMs = deadlineMs - performance.now();
      if (records.length > 0 || leftMs <= 0) return records;
      const aborted = options.signal ? [fromEvent(options.signal, 'abort')] : [];
      await firstValueFrom(merge(this.#storage.changes, timer(leftMs), ...aborted));
    }
    return [];
  }

  #takeInTurn(options: PollOptions): readonly LogRecord[] {
    const { partition: only } = options;
    if (only && !this.#positions.some((at) => at.topic === only.topic && at.partition === only.partition)) {
      throw new MillraceError('bad-usage', `This reader was not given ${only.topic}/${only.partition}.`);
    }
    for (let tried = 0; tried < this.#positions.length; tried++) {
      const index = (this.#turn + tried) % this.#positions.length;
      const at = this.#positions[index];
      if (!at || (only && (at.topic !== only.topic || at.partition !== only.partition))) continue;
      const records = this.#take(at, options);
      if (records.length === 0) continue;
      this.#positions[index] = { ...at, offset: at.offset + records.length };
      if (!only) this.#turn = index + 1;
      return records;
    }
    return [];
  }

  #take({ topic, partition, offset }: Position, { maxRecords = 1000, maxBytes = Infinity }: PollOptions): LogRecord[] {
    const { start, records } = this.#storage.partition(topic, partition);
    if (offset < start || offset > start + records.length) {
      const what = offset < start ? `Offsets ${offset} to ${start - 1} of ${topic}/${partition} are gone.` : 'Too far.';
      throw new MillraceError('offset-out-of-range', what);
    }
    const taken: LogRecord[] = [];
    let bytes = 0;
    for (const record of records.slice(offset - start, offset - start + maxRecords)) {
      bytes += sizeOf(record);
      if (taken.length > 0 && bytes > maxBytes) break;
      taken.push(record);
    }
    return taken;
  }
}

/** Keeps to the topic's retention, and always keeps the newest record. */
function dropOldest(partition: Partition, { retentionBytes = Infinity, retentionMs = Infinity }: TopicSettings): void {
  let bytes = partition.records.reduce((sum, record) => sum + sizeOf(record) + 1, 0);
  for (;;) {
    const [oldest, next] = partition.records;
    if (!oldest || !next) return;
    if (bytes <= retentionBytes && Date.now() - oldest.timestampMs <= retentionMs) return;
    bytes -= sizeOf(oldest) + 1;
    partition.records.shift();
    partition.start += 1;
  }
}

function sizeOf({ key, value }: LogRecord): number {
  return (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
}

function toBytes(value: Uint8Array | string | null): Uint8Array | null {
  return typeof value === 'string' ? Buffer.from(value) : value;
}
