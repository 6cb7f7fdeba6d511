import type { Producer, Transaction } from 'kafkajs';
import { MillraceError } from '../../operators/errors.ts';
import type { Coordinates } from '../../operators/types.ts';
import { baseOf, coordinatesOf, sendInTransaction, toBatches } from './batches.ts';
import type { Batch } from './batches.ts';
import { MANY_RETRIES, kafkaClient } from './cluster.ts';
import type { KafkaConnection } from './cluster.ts';
import { connectIdempotent, connectTransactional, disconnect } from './producers.ts';
import type { Outgoing } from './records.ts';

export interface Produced {
  /** In the order of the records. */
  readonly coordinates: readonly Coordinates[];
  readonly inTransaction: boolean;
}

/**
 * Appends all records of a call or none: one batch is atomic of itself, several go in a transaction. Retries are without
 * duplicates: the broker knows a batch by its number. Since that is the next batch's too as long as the first has no
 * answer, each waits for the one before. After a call that failed for good a new producer takes over, since what became
 * of the old one's last batch is not known and the next must not be taken for it.
 */
export class KafkaProducer {
  readonly #connection: KafkaConnection;
  readonly #transactionalId: string;
  readonly #lastBatches = new Map<string, Promise<unknown>>();
  #plain: Promise<Producer> | null = null;
  #transactional: Promise<Producer> | null = null;
  #lastTransaction: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /** Nobody else may use the same id. */
  constructor(connection: KafkaConnection, transactionalId: string) {
    this.#connection = connection;
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
    this.#isClosed = true;
    await Promise.all([disconnect(this.#plain), disconnect(this.#transactional)]);
  }

  /** One batch of a partition at a time. */
  #sendPlain(batch: Batch): Promise<number> {
    const partition = `${batch.topic}/${batch.partition}`;
    const sent = (this.#lastBatches.get(partition) ?? Promise.resolve()).then(() => this.#sendPatiently(batch));
    this.#lastBatches.set(
      partition,
      sent.catch(() => undefined),
    );
    return sent;
  }

  async #sendPatiently({ topic, messages, compression }: Batch): Promise<number> {
    let mine: Producer | null = null;
    try {
      return await this.#connection.patience.run({
        topic,
        isWanted: () => !this.#isClosed,
        work: async () => {
          // The same producer as long as the batch may be there already: to another it would be a new one.
          mine ??= await this.#connectPlain();
          return baseOf(await mine.send({ topic, messages, compression }));
        },
      });
    } catch (error) {
      if (!wasRefused(error) && mine) this.#retire(mine);
      throw error;
    }
  }

  #connectPlain(): Promise<Producer> {
    const connecting = this.#plain ?? connectIdempotent(kafkaClient(this.#connection));
    this.#plain = connecting;
    connecting.catch(() => {
      if (this.#plain === connecting) this.#plain = null;
    });
    return connecting;
  }

  #retire(producer: Producer): void {
    this.#plain = null;
    void producer.disconnect().catch(() => undefined);
  }

  /** One transaction at a time. */
  #sendAll(batches: readonly Batch[]): Promise<readonly number[]> {
    const sent = this.#lastTransaction.then(() => this.#transact(batches));
    this.#lastTransaction = sent.catch(() => undefined);
    return sent;
  }

  async #transact(batches: readonly Batch[]): Promise<readonly number[]> {
    this.#transactional ??= connectTransactional(kafkaClient(this.#connection, MANY_RETRIES), this.#transactionalId);
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

/** Whether a broker has said that it did not take the batch, so that nothing of it can be there. */
function wasRefused(error: unknown): boolean {
  return error instanceof MillraceError && (error.code === 'record-too-large' || error.code === 'topic-missing');
}
