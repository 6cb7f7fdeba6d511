import type Cluster from 'kafkajs/src/cluster/index.js';
import { MillraceError } from '../../operators/errors.ts';
import type { LogReader, PartitionId, PartitionOffsets, PollOptions, Position } from '../../operators/ports.ts';
import type { LogRecord } from '../../operators/types.ts';
import { offsetOutOfRange } from '../out-of-range.ts';
import { READ_COMMITTED } from './cluster.ts';
import type { KafkaCluster } from './cluster.ts';
import { Cursor } from './cursor.ts';
import { kafkaFailure, rootOf, topicMissing } from './failure.ts';
import { PollGuard } from '../poll-guard.ts';

/** What is held of a partition ahead of its reader, at most, unless a single batch is larger. */
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
 * rebalances, however long the steps between two polls are. Nothing is fetched unless a poll wants it. Every poll looks at
 * least once at what the brokers have now, also without `waitMs`. Only committed records are read.
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
      this.#throwFailure();
      const records = this.#takeFromOne(cursors, options);
      const leftMs = Math.ceil(deadlineMs - performance.now());
      if (records.length > 0 || (hasLooked && leftMs <= 0)) return records;
      if (this.#fetching) {
        await settled(this.#fetching, signals);
      } else {
        this.#fetching = this.#fetch(cursors, hasLooked ? Math.min(leftMs, HOLD_MS) : 0);
        await settled(this.#fetching, signals);
        // Markers are no records: there may be some behind them.
        hasLooked = !this.#hasMoved;
      }
    }
    return [];
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
            cursors.filter((cursor) => cursor.isEmpty),
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
    const asked = new Map(
      cursors.map((cursor) => [`${cursor.topic}/${cursor.partition}`, { cursor, from: cursor.fetchFrom }]),
    );
    const broker = await cluster.findBroker({ nodeId: String(leader) });
    const { responses } = await broker.fetch({
      isolationLevel: READ_COMMITTED,
      maxWaitTime: holdMs,
      minBytes: 1,
      maxBytes: FETCH_BYTES * cursors.length,
      topics: [...asked.values()].map(({ cursor: { topic, partition }, from }) => ({
        topic,
        partitions: [{ partition, fetchOffset: String(from), maxBytes: FETCH_BYTES }],
      })),
    });
    for (const { topicName, partitions } of responses) {
      for (const fetched of partitions) {
        const { cursor, from = 0 } = asked.get(`${topicName}/${fetched.partition}`) ?? {};
        if (cursor?.fill(from, fetched)) this.#hasMoved = true;
      }
    }
  }

  /** Of an offset that is not there, says which are; of several topics, which one is gone. */
  async #explain(error: MillraceError): Promise<MillraceError> {
    if (error.code === 'topic-missing') {
      for (const topic of new Set(this.#cursors.map((cursor) => cursor.topic))) await this.#options.offsetsOf(topic);
    }
    if (!isOutOfRange(error.cause)) return error;
    for (const { topic, partition, fetchFrom: offset } of this.#cursors) {
      const at = (await this.#options.offsetsOf(topic)).find((each) => each.partition === partition);
      if (at && (offset < at.start || offset > at.end)) {
        return offsetOutOfRange({ topic, partition, offset }, at, { cause: error.cause });
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

/** Resolves when the promise has, or when one of the signals aborts. */
async function settled(promise: Promise<void>, signals: readonly AbortSignal[]): Promise<void> {
  const listening = new AbortController();
  const aborts = signals.map(
    (signal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true, signal: listening.signal });
      }),
  );
  await Promise.race([promise, ...aborts]);
  listening.abort();
}
