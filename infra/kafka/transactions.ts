import { setTimeout as sleep } from 'node:timers/promises';
import type { Kafka, Producer } from 'kafkajs';
import { MillraceError } from '../../operators/errors.ts';
import type { Position, TopicRecord, Transaction, Transactions } from '../../operators/ports.ts';
import type { Coordinates } from '../../operators/types.ts';
import { producerFenced } from '../producer-fenced.ts';
import { checkTransaction } from '../topic-rules.ts';
import { coordinatesOf, sendInTransaction, toBatches } from './batches.ts';
import type { Batch } from './batches.ts';
import { SOME_RETRIES, kafkaClient } from './cluster.ts';
import type { KafkaCluster, KafkaConnection } from './cluster.ts';
import { isPassing, typeOf } from './failure.ts';
import { allCommittedPositions, toTopicOffsets } from './groups.ts';
import { TRANSACTION_TIMEOUT_MS, connectTransactional, disconnect } from './producers.ts';
import type { Outgoing } from './records.ts';

export interface KafkaTransactionsOptions {
  readonly id: string;
  readonly group: string;
  readonly connection: KafkaConnection;
  readonly cluster: KafkaCluster;
  readonly toOutgoing: (records: readonly TopicRecord[]) => Promise<readonly Outgoing[]>;
  /** Resolves when records that were committed can be read. */
  readonly untilReadable: (coordinates: readonly Coordinates[]) => Promise<void>;
  readonly onClose: () => void;
}

const VISIBLE_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 5;

/** Refusals that a producer which begins anew under the same id does not meet again. */
const MENDED_BY_A_NEW_PRODUCER = new Set([
  'INVALID_TXN_STATE',
  'INVALID_PRODUCER_ID_MAPPING',
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
]);

/** Takes an id over: who had it before can commit nothing more, and what it had begun is undone. */
export async function openTransactions(options: KafkaTransactionsOptions): Promise<Transactions> {
  const transactions = new KafkaTransactions(options);
  await transactions.open();
  return transactions;
}

/** What one try has come to. */
interface Attempt {
  startedMs: number;
  /** Set once the broker has been asked to commit: from then on it may have done so, whatever is heard of it. */
  bases: readonly number[] | null;
}

/**
 * Consume, transform, produce, as Kafka has it. Whatever goes wrong, a new producer takes the id over, which makes the
 * broker decide what was open, and then the group's positions tell how: where they are those of the transaction, it went
 * through; where they are as before, it is carried out again; anything else is the work of a newer process, to which this
 * one gives way.
 */
class KafkaTransactions implements Transactions {
  readonly #options: KafkaTransactionsOptions;
  readonly #kafka: Kafka;
  #producer: Producer | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #fenced: MillraceError | null = null;
  #isClosed = false;
  /** The group's positions, by partition, as far as this process knows. */
  #known = new Map<string, Position>();

  constructor(options: KafkaTransactionsOptions) {
    this.#options = options;
    this.#kafka = kafkaClient(options.connection, SOME_RETRIES);
  }

  async open(): Promise<void> {
    await this.#again(async () => {
      const { found } = await this.#takeOver();
      this.#known = new Map(found);
    });
  }

  commit(transaction: Transaction): Promise<readonly Coordinates[]> {
    const committed = this.#last.then(() => this.#carryOut(transaction));
    this.#last = committed.catch(() => undefined);
    return committed;
  }

  /** A transaction under way is broken off: whether it was committed is for the next opening to tell. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#options.onClose();
    await this.#drop();
    await this.#last;
    await this.#drop();
  }

  async #carryOut(transaction: Transaction): Promise<readonly Coordinates[]> {
    checkTransaction(transaction);
    this.#checkOpen();
    const batches = toBatches(await this.#options.toOutgoing(transaction.records));
    const attempt: Attempt = { startedMs: 0, bases: null };
    const bases = await this.#again(() => this.#attempt(batches, transaction.positions, attempt), attempt);
    for (const position of transaction.positions) this.#known.set(nameOf(position), position);
    const coordinates = coordinatesOf(batches, bases);
    // It is committed; that it can't be seen yet is no failure of it.
    await this.#untilSeen(coordinates, transaction.positions).catch(() => undefined);
    return coordinates;
  }

  async #attempt(
    batches: readonly Batch[],
    positions: readonly Position[],
    attempt: Attempt,
  ): Promise<readonly number[]> {
    if (this.#fenced) throw this.#fenced;
    const producer = this.#producer ?? (await this.#goOn(positions, attempt));
    if (!producer) return attempt.bases ?? [];
    attempt.bases = null;
    attempt.startedMs = performance.now();
    const transaction = await producer.transaction();
    const bases = await sendInTransaction(transaction, batches);
    await transaction.sendOffsets({ consumerGroupId: this.#options.group, topics: toTopicOffsets(positions) });
    attempt.bases = bases;
    await transaction.commit();
    return bases;
  }

  /** A producer to try again with, or null where the last try turns out to have been committed. */
  async #goOn(positions: readonly Position[], attempt: Attempt): Promise<Producer | null> {
    const { producer, found } = await this.#takeOver();
    const isAt = (expected: (position: Position) => Position | undefined): boolean =>
      positions.every((position) => isSame(found.get(nameOf(position)), expected(position)));
    if (attempt.bases && isAt((position) => position)) return null;
    if (isAt((position) => this.#known.get(nameOf(position)))) return producer;
    throw this.#fence();
  }

  /** Connects a producer, which the broker then takes for the only one of this id, and asks where the group stands. */
  async #takeOver(): Promise<{ readonly producer: Producer; readonly found: ReadonlyMap<string, Position> }> {
    const producer = await connectTransactional(this.#kafka, this.#options.id);
    this.#producer = producer;
    // kafkajs asks for the id with the first transaction. The broker hears nothing of one without records.
    await (await producer.transaction()).abort();
    return { producer, found: await this.#committed() };
  }

  async #committed(): Promise<ReadonlyMap<string, Position>> {
    const positions = await allCommittedPositions(this.#options.cluster, this.#options.group);
    return new Map(positions.map((position) => [nameOf(position), position]));
  }

  /** Does `work` until it goes well, fails for good, or the log's patience is over. */
  #again<T>(work: () => Promise<T>, attempt: Attempt | null = null): Promise<T> {
    const { connection, id } = this.#options;
    return connection.patience.run({
      topic: id,
      mayPass: isWorthAnother,
      work: async () => {
        this.#checkOpen();
        try {
          return await work();
        } catch (error) {
          await this.#drop();
          throw this.#isFencedBy(error, attempt) ? this.#fence(error) : error;
        }
      },
    });
  }

  /** A transaction that took too long was ended by the broker, which it says in the same words. */
  #isFencedBy(error: unknown, attempt: Attempt | null): boolean {
    if (typeOf(error) !== 'INVALID_PRODUCER_EPOCH' || !attempt) return false;
    return performance.now() - attempt.startedMs < TRANSACTION_TIMEOUT_MS;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new MillraceError('log-closed', 'These transactions, or their log, were closed.');
  }

  #fence(cause?: unknown): MillraceError {
    this.#fenced ??= producerFenced(this.#options.id, { cause });
    return this.#fenced;
  }

  /** Lets go of the producer. What it has open is ended by the next one, or by the broker when its time is up. */
  async #drop(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    if (producer) await disconnect(Promise.resolve(producer));
  }

  async #untilSeen(coordinates: readonly Coordinates[], positions: readonly Position[]): Promise<void> {
    await this.#options.untilReadable(coordinates);
    for (
      const startMs = performance.now();
      performance.now() < startMs + VISIBLE_WITHIN_MS;
      await sleep(LOOK_AGAIN_MS)
    ) {
      const found = await this.#committed();
      if (positions.every((position) => isSame(found.get(nameOf(position)), position))) return;
    }
  }
}

function isWorthAnother(error: unknown): boolean {
  const type = typeOf(error) ?? '';
  return isPassing(error) || type === 'INVALID_PRODUCER_EPOCH' || MENDED_BY_A_NEW_PRODUCER.has(type);
}

function isSame(one: Position | undefined, other: Position | undefined): boolean {
  return one?.offset === other?.offset && (one?.metadata ?? '') === (other?.metadata ?? '');
}

function nameOf({ topic, partition }: Position): string {
  return `${topic}/${partition}`;
}
