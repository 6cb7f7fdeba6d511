import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { defer } from 'rxjs';
import type { Observable } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import type {
  GroupMembership,
  GroupOptions,
  LogReader,
  PartitionOffsets,
  Position,
  Topic,
  TopicLog,
  TopicRecord,
  TopicRetention,
  TopicSettings,
  Transactions,
} from '../../operators/ports.ts';
import type { Coordinates, NewRecord } from '../../operators/types.ts';
import { Partitioner } from '../partitioner.ts';
import { checkGroup, checkTransactionalId } from '../topic-rules.ts';
import { compressionType, registerCodecs } from './codecs.ts';
import type { Compression } from './codecs.ts';
import { KafkaCluster, kafkaClient } from './cluster.ts';
import type { KafkaConnection } from './cluster.ts';
import { kafkaFailure, topicMissing } from './failure.ts';
import { KafkaGroup } from './group/kafka-group.ts';
import { commitPositions, committedPositions } from './groups.ts';
import { Patience } from './patience.ts';
import type { Outage } from './patience.ts';
import { KafkaProducer } from './producer.ts';
import { KafkaReader } from './reader.ts';
import { toBuffer, toOutgoing } from './records.ts';
import type { Outgoing } from './records.ts';
import { KafkaTopics } from './topics.ts';
import { securityOptions } from './security.ts';
import type { KafkaSecurity } from './security.ts';
import { openTransactions } from './transactions.ts';

export interface KafkaLogOptions {
  /** `host:port` of some of the cluster's brokers; one is enough. */
  readonly brokers: readonly string[];
  /** Name under which the brokers' own logs and quotas know us; `millrace` by default. */
  readonly clientId?: string;
  /** How batches of a topic are compressed when they are produced; not at all when absent. Whatever comes is read. */
  readonly compression?: (topic: string) => Compression;
  /** Nothing is encrypted, and nobody says who they are, when absent. */
  readonly security?: KafkaSecurity;
  /** How long a call is tried again while no broker answers; 30 s by default. */
  readonly patienceMs?: number;
  /** Whether to be as patient from the beginning; otherwise some seconds must do to reach a first broker. */
  readonly waitForBrokers?: boolean;
  /** Told when no broker has answered for a second, and when one does again. */
  readonly onOutage?: (outage: Outage) => void;
  /** Once it aborts, nothing waits for brokers longer than some seconds more. */
  readonly hurry?: AbortSignal;
}

const PATIENCE_MS = 30_000;
/** Somebody waits in front of a terminal. */
const OPENING_PATIENCE_MS = 3000;
const VISIBLE_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 5;

/**
 * Opens topics of a Kafka cluster as a log. Rejects with `broker-unreachable` within some seconds, unless told to wait.
 *
 * Guarantees. Order: by offset within a partition, with gaps, since transactions put their markers between records, and
 * compaction makes holes. Atomicity: the records of one `produce` become readable together or not at all. Durability: what
 * was acknowledged is with all in-sync replicas. Retries make no duplicates. A waiting poll is woken within milliseconds.
 *
 * `offsets` gives the end of what is committed; behind it there may be records of an open transaction.
 *
 * Errors: `broker-unreachable` once no broker has answered for `patienceMs`, `broker-refused` for credentials or
 * certificates that are not taken, `record-too-large` beyond the topic's
 * `max.message.bytes`, `log-failed` with Kafka's own reason, and those named at `TopicLog`.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<TopicLog> {
  const { brokers, clientId = 'millrace', patienceMs = PATIENCE_MS, waitForBrokers = false, onOutage, hurry } = options;
  if (brokers.length === 0) throw new MillraceError('bad-usage', 'Name at least one Kafka broker, as host:port.');
  registerCodecs();
  const security = securityOptions(options.security ?? {});
  const patience = new Patience({ brokers, patienceMs, onOutage, hurry });
  const brief = new Patience({ brokers, patienceMs: Math.min(patienceMs, OPENING_PATIENCE_MS) });
  const knock = new KafkaCluster({ brokers, clientId, security, patience: waitForBrokers ? patience : brief });
  try {
    const isWanted = (): boolean => !hurry?.aborted;
    await knock.run('', async () => undefined, isWanted);
  } finally {
    await knock.close();
  }
  const { compression = () => 'none' } = options;
  return new KafkaLog({ brokers, clientId, security, patience }, compression);
}

class KafkaLog implements TopicLog {
  readonly #connection: KafkaConnection;
  readonly #compression: (topic: string) => Compression;
  readonly #cluster: KafkaCluster;
  readonly #topics: KafkaTopics;
  readonly #producer: KafkaProducer;
  readonly #partitioner = new Partitioner();
  readonly #readers = new Set<LogReader>();
  readonly #transactions = new Set<Transactions>();
  #closing: Promise<void> | null = null;

  constructor(connection: KafkaConnection, compression: (topic: string) => Compression) {
    this.#connection = connection;
    this.#compression = compression;
    this.#cluster = new KafkaCluster(connection);
    this.#topics = new KafkaTopics(this.#cluster, kafkaClient(connection), connection.patience);
    this.#producer = new KafkaProducer(connection, `${connection.clientId}-${randomUUID()}`);
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
    return this.#topics.retentionOf(topic);
  }

  topic(name: string): Observable<Topic> {
    return defer(async () => {
      this.#checkOpen();
      return { name, partitions: await this.#topics.look(name), log: this };
    });
  }

  async produce(topic: string, records: readonly NewRecord[]): Promise<readonly Coordinates[]> {
    this.#checkOpen();
    const outgoing = await this.#toOutgoing(records.map((record) => ({ ...record, topic })));
    try {
      const { coordinates, inTransaction } = await this.#producer.produce(outgoing);
      if (inTransaction) await this.#untilReadable(coordinates);
      return coordinates;
    } catch (error) {
      throw kafkaFailure(error, { ...this.#connection, topic });
    }
  }

  async offsets(topic: string): Promise<readonly PartitionOffsets[]> {
    this.#checkOpen();
    const count = await this.#topics.partitionsOf(topic);
    const partitions = Array.from({ length: count }, (_, partition) => ({ partition }));
    const [starts, ends] = await this.#cluster.run(topic, async (cluster) => {
      await cluster.addMultipleTargetTopics([topic]);
      const ask = async (fromBeginning: boolean): Promise<ReadonlyMap<number, number>> => {
        const [found] = await cluster.fetchTopicsOffset([{ topic, partitions, fromBeginning }]);
        return new Map(found?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
      };
      return Promise.all([ask(true), ask(false)]);
    });
    return partitions.map(({ partition }) => {
      return { topic, partition, start: starts.get(partition) ?? 0, end: ends.get(partition) ?? 0 };
    });
  }

  reader(from: readonly Position[]): LogReader {
    this.#checkOpen();
    const reader: LogReader = new KafkaReader({
      from,
      brokers: this.#connection.brokers,
      cluster: new KafkaCluster(this.#connection),
      offsetsOf: (topic) => this.offsets(topic),
      onClose: () => this.#readers.delete(reader),
    });
    this.#readers.add(reader);
    return reader;
  }

  async commit(group: string, positions: readonly Position[]): Promise<void> {
    this.#checkOpen();
    checkGroup(group);
    if (positions.length > 0) await commitPositions(this.#cluster, group, positions);
  }

  async committed(group: string, topic: string): Promise<readonly Position[]> {
    this.#checkOpen();
    checkGroup(group);
    return committedPositions(this.#cluster, group, topic, await this.#topics.partitionsOf(topic));
  }

  async transactions(id: string, group: string): Promise<Transactions> {
    this.#checkOpen();
    checkTransactionalId(id);
    checkGroup(group);
    const transactions = await openTransactions({
      id,
      group,
      connection: this.#connection,
      cluster: this.#cluster,
      toOutgoing: (records) => this.#toOutgoing(records),
      untilReadable: (coordinates) => this.#untilReadable(coordinates),
      onClose: () => this.#transactions.delete(transactions),
    });
    this.#transactions.add(transactions);
    return transactions;
  }

  join(options: GroupOptions): GroupMembership {
    this.#checkOpen();
    checkGroup(options.group);
    return new KafkaGroup(this.#connection, this, options);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const users = [...this.#readers, ...this.#transactions].map((each) => each.close());
    await Promise.all([...users, this.#producer.close(), this.#topics.close(), this.#cluster.close()]);
  }

  /** Chooses partitions where records don't name theirs. Rejects with `topic-missing`. */
  async #toOutgoing(records: readonly TopicRecord[]): Promise<readonly Outgoing[]> {
    const nowMs = Date.now();
    const outgoing: Outgoing[] = [];
    for (const { topic, ...record } of records) {
      const partitions = await this.#topics.partitionsOf(topic);
      const partition = record.partition ?? this.#partitioner.choose(topic, partitions, toBuffer(record.key ?? null));
      if (partition >= partitions) throw topicMissing(`${topic}/${partition}`);
      const compression = compressionType(this.#compression(topic));
      outgoing.push(toOutgoing(record, { topic, partition, compression }, nowMs));
    }
    return outgoing;
  }

  /** A transaction is decided before every partition has heard of it. Who produces may count on reading what came of it. */
  async #untilReadable(coordinates: readonly Coordinates[]): Promise<void> {
    for (
      const startMs = performance.now();
      performance.now() < startMs + VISIBLE_WITHIN_MS;
      await sleep(LOOK_AGAIN_MS)
    ) {
      const ends = new Map<string, number>();
      for (const topic of new Set(coordinates.map((at) => at.topic))) {
        for (const { partition, end } of await this.offsets(topic)) ends.set(`${topic}/${partition}`, end);
      }
      if (coordinates.every(({ topic, partition, offset }) => offset < (ends.get(`${topic}/${partition}`) ?? 0)))
        return;
    }
  }

  #checkOpen(): void {
    if (this.#closing) throw new MillraceError('log-closed', 'This log was closed. Open it again.');
  }
}
