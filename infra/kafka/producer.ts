import type { Kafka, Producer, Transaction } from 'kafkajs';
import type { Coordinates } from '../../operators/types.ts';
import { baseOf, coordinatesOf, sendInTransaction, toBatches } from './batches.ts';
import type { Batch } from './batches.ts';
import { connectIdempotent, connectTransactional, disconnect } from './producers.ts';
import type { Outgoing } from './records.ts';

export interface Produced {
  /** In the order of the records. */
  readonly coordinates: readonly Coordinates[];
  readonly inTransaction: boolean;
}

/**
 * Appends all records of a call or none: one batch is atomic of itself, several go in a transaction. Retries are without
 * duplicates. After a call that failed for good a new producer takes over, since what became of the old one's last batch
 * is not known and the next must not be taken for it.
 */
export class KafkaProducer {
  readonly #kafka: Kafka;
  readonly #transactionalId: string;
  #plain: Promise<Producer> | null = null;
  #transactional: Promise<Producer> | null = null;
  #lastTransaction: Promise<unknown> = Promise.resolve();

  /** Nobody else may use the same id. */
  constructor(kafka: Kafka, transactionalId: string) {
    this.#kafka = kafka;
    this.#transactionalId = transactionalId;
  }

  async produce(records: readonly Outgoing[]): Promise<Produced> {
    const batches = toBatches(records);
    const [first, ...others] = batches;
    if (!first) return { coordinates: [], inTransaction: false };
    const inTransaction = others.length > 0;
    const bases = inTransaction ? await this.#sendAll(batches) : [await this.#sendPlain(first)];
    return { coordinates: coordinatesOf(batches, bases), inTransaction };
  }

  async close(): Promise<void> {
    await Promise.all([disconnect(this.#plain), disconnect(this.#transactional)]);
  }

  async #sendPlain({ topic, messages }: Batch): Promise<number> {
    this.#plain ??= connectIdempotent(this.#kafka);
    const mine = this.#plain;
    try {
      const producer = await mine;
      return baseOf(await producer.send({ topic, messages }));
    } catch (error) {
      if (this.#plain === mine) this.#plain = null;
      void disconnect(mine);
      throw error;
    }
  }

  /** One transaction at a time. */
  #sendAll(batches: readonly Batch[]): Promise<readonly number[]> {
    const sent = this.#lastTransaction.then(() => this.#transact(batches));
    this.#lastTransaction = sent.catch(() => undefined);
    return sent;
  }

  async #transact(batches: readonly Batch[]): Promise<readonly number[]> {
    this.#transactional ??= connectTransactional(this.#kafka, this.#transactionalId);
    const mine = this.#transactional;
    let transaction: Transaction | null = null;
    try {
      transaction = await (await mine).transaction();
      const bases = await sendInTransaction(transaction, batches);
      await transaction.commit();
      return bases;
    } catch (error) {
      // Where this fails too, the broker aborts it when its time is up.
      await transaction?.abort().catch(() => undefined);
      this.#transactional = null;
      await disconnect(mine);
      throw error;
    }
  }
}
