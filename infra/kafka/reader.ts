import type Cluster from 'kafkajs/src/cluster/index.js';
import { MillraceError } from '../../operators/errors.ts';
import type { LogReader, PartitionId, PartitionOffsets, PollOptions, Position } from '../../operators/ports.ts';
import type { LogRecord } from '../../operators/types.ts';
import { offsetOutOfRange } from '../out-of-range.ts';
import type { KafkaCluster } from './cluster.ts';
import { Cursor } from './cursor.ts';
import { kafkaFailure, rootOf, topicMissing } from './failure.ts';
import { fetchRecords } from './fetch.ts';
import { PollGuard } from '../poll-guard.ts';

/** What is fetched of a partition at once, unless a single batch is larger; less than twice that is held of it. */
const FETCH_BYTES = 1024 * 1024;
/** How long a broker holds a request back until there are records; it cannot be called off. */
const HOLD_MS = 100;

export interface KafkaReaderOptions {
  readonly from: readonly Position[];
  readonly brokers: readonly string[];
  /** Connections of its own, since a request that a broker holds back keeps others waiting behind it. */
  readonly cluster: KafkaCluster;
  readonly offsetsOf: (topic: string) => Promise<readonly PartitionOffsets[]>;
  readonly onClose: () => void;
}

/**
 * Reads partitions in turn, each poll from one of them, straight from their leaders: no group, so no heartbeats, no
 * rebalances, however long the steps between two polls are. What the next polls are going to want is fetched while the last
 * one's records are worked on, no further ahead. A poll that has nothing looks at least once at what the brokers have now,
 * also without `waitMs`. Only committed records are read.
 */
export class KafkaReader implements LogReader {
  readonly #options: KafkaReaderOptions;
  readonly #guard = new PollGuard();
  readonly #cursors: readonly Cursor[];
  readonly #closed = new AbortController();
  #turn = 0;
  /** Goes on when the poll that began it was aborted; the next poll has what it brings. */
  #fetching: Promise<void> | null = null;
  #hasMoved = false;
  #failure: MillraceError | null = null;

  constructor(options: KafkaReaderOptions) {
    this.#options = options;
    this.#cursors = options.from.map((position) => new Cursor(position));
  }

  poll(options: PollOptions = {}): Promise<readonly LogRecord[]> {
    const deadlineMs = performance.now() + (options.waitMs ?? 0);
    return this.#guard.run(this.#isClosed, () => this.#pollUntil(deadlineMs, options));
  }

  positions(): readonly Position[] {
    return this.#cursors.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  }

  /** A poll that waits resolves with none. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#closed.abort();
    this.#options.onClose();
    await this.#options.cluster.close();
    // What was just about to connect may have done so meanwhile.
    await this.#fetching;
    await this.#options.cluster.close();
  }

  get #isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  async #pollUntil(deadlineMs: number, options: PollOptions): Promise<readonly LogRecord[]> {
    const cursors = options.partition ? [this.#cursorOf(options.partition)] : this.#cursors;
    const signals = [this.#closed.signal, ...(options.signal ? [options.signal] : [])];
    let hasLooked = false;
    while (!signals.some(({ aborted }) => aborted)) {
      const records = this.#takeFromOne(cursors, options);
      if (records.length > 0) {
        this.#fetchAhead(cursors);
        return records;
      }
      this.#throwFailure();
      const leftMs = Math.ceil(deadlineMs - performance.now());
      const isShort = cursors.some((cursor) => cursor.hasMore);
      if (hasLooked && leftMs <= 0 && !isShort) return [];
      if (this.#fetching) {
        await settled(this.#fetching, signals);
      } else {
        this.#fetching = this.#fetch(cursors, hasLooked && !isShort ? Math.min(leftMs, HOLD_MS) : 0);
        await settled(this.#fetching, signals);
        // Markers are no records: there may be some behind them.
        hasLooked = !this.#hasMoved;
      }
    }
    return [];
  }

  /** What is known to be there is on its way while what was taken is worked on. */
  #fetchAhead(cursors: readonly Cursor[]): void {
    const hungry = cursors.filter((cursor) => cursor.hasMore && cursor.heldBytes < FETCH_BYTES);
    if (hungry.length > 0) this.#fetching ??= this.#fetch(hungry, 0);
  }

  #cursorOf({ topic, partition }: PartitionId): Cursor {
    const cursor = this.#cursors.find((each) => each.topic === topic && each.partition === partition);
    if (cursor) return cursor;
    throw new MillraceError('bad-usage', `This reader was not given ${topic}/${partition}; name it when it is made.`);
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure) throw failure;
  }

  /** Takes from the first of the cursors that has records, beginning after the one that was served last. */
  #takeFromOne(cursors: readonly Cursor[], options: PollOptions): readonly LogRecord[] {
    for (let tried = 0; tried < cursors.length; tried += 1) {
      const index = (this.#turn + tried) % cursors.length;
      const records = cursors[index]?.take(options) ?? [];
      if (records.length === 0) continue;
      if (cursors === this.#cursors) this.#turn = index + 1;
      return records;
    }
    return [];
  }

  /** Fills the cursors that are empty. Never rejects: the poll that comes to it throws what went wrong. */
  async #fetch(cursors: readonly Cursor[], holdMs: number): Promise<void> {
    this.#hasMoved = false;
    const topics = [...new Set(cursors.map(({ topic }) => topic))];
    try {
      await this.#options.cluster.run(
        topics.join(', '),
        async (cluster) => {
          await cluster.addMultipleTargetTopics(topics);
          const byLeader = groupByLeader(
            cluster,
            cursors.filter((cursor) => cursor.isEmpty || cursor.hasMore),
          );
          await Promise.all([...byLeader].map(([leader, led]) => this.#fetchFrom(cluster, leader, led, holdMs)));
        },
        () => !this.#isClosed,
      );
    } catch (error) {
      const failure = kafkaFailure(error, this.#options);
      this.#failure = await this.#explain(failure).catch((cause: unknown) => kafkaFailure(cause, this.#options));
    } finally {
      this.#fetching = null;
    }
  }

  async #fetchFrom(cluster: Cluster, leader: number, cursors: readonly Cursor[], holdMs: number): Promise<void> {
    const node = await cluster.findBroker({ nodeId: String(leader) });
    const from = cursors.map(({ fetchFrom }) => fetchFrom);
    for (const fetched of await fetchRecords(node, { from, maxBytes: FETCH_BYTES, holdMs })) {
      const { topic, partition } = fetched.from;
      const cursor = cursors.find((each) => each.topic === topic && each.partition === partition);
      if (cursor?.fill(fetched)) this.#hasMoved = true;
    }
  }

  /** Of an offset that is not there, says which are; of several topics, which one is gone. */
  async #explain(error: MillraceError): Promise<MillraceError> {
    if (error.code === 'topic-missing') {
      for (const topic of new Set(this.#cursors.map((cursor) => cursor.topic))) await this.#options.offsetsOf(topic);
    }
    if (!isOutOfRange(error.cause)) return error;
    for (const { fetchFrom } of this.#cursors) {
      const { topic, partition, offset } = fetchFrom;
      const at = (await this.#options.offsetsOf(topic)).find((each) => each.partition === partition);
      if (at && (offset < at.start || offset > at.end)) {
        return offsetOutOfRange(fetchFrom, at, { cause: error.cause });
      }
    }
    return error;
  }
}

function groupByLeader(cluster: Cluster, cursors: readonly Cursor[]): ReadonlyMap<number, readonly Cursor[]> {
  const groups = new Map<number, Cursor[]>();
  for (const cursor of cursors) {
    const found = cluster
      .findTopicPartitionMetadata(cursor.topic)
      .find((each) => each.partitionId === cursor.partition);
    if (!found) throw topicMissing(`${cursor.topic}/${cursor.partition}`);
    const group = groups.get(found.leader) ?? [];
    group.push(cursor);
    groups.set(found.leader, group);
  }
  return groups;
}

function isOutOfRange(cause: unknown): boolean {
  const root = rootOf(cause);
  return root instanceof Error && root.name === 'KafkaJSOffsetOutOfRange';
}

/** Resolves when the promise has, which must not reject, or when one of the signals aborts. */
function settled(promise: Promise<void>, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      for (const signal of signals) signal.removeEventListener('abort', stop);
      resolve();
    };
    for (const signal of signals) signal.addEventListener('abort', stop);
    void promise.finally(stop);
  });
}
