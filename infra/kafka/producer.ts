import type { Message, Producer, RecordMetadata, Transaction } from 'kafkajs';
import { MillraceError } from '../../operators/errors.ts';
import type { Coordinates } from '../../operators/types.ts';
import { kafkaClient } from './cluster.ts';
import type { KafkaConnection } from './cluster.ts';
import type { Outgoing } from './records.ts';

/** Brokers take batches of about a megabyte unless they are told otherwise. */
const BATCH_BYTES = 900_000;
/** A transaction whose process has died holds back who reads behind it for so long. */
const TRANSACTION_TIMEOUT_MS = 10_000;

export interface Produced {
  /** In the order of the records. */
  readonly coordinates: readonly Coordinates[];
  readonly inTransaction: boolean;
}

interface Batch {
  readonly partition: number;
  readonly at: number[];
  readonly messages: Message[];
  bytes: number;
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

  async produce(topic: string, records: readonly Outgoing[]): Promise<Produced> {
    const [first, ...others] = toBatches(records);
    if (!first) return { coordinates: [], inTransaction: false };
    const inTransaction = others.length > 0;
    const batches = [first, ...others];
    const bases = inTransaction ? await this.#sendAll(topic, batches) : [await this.#sendPlain(topic, first)];
    const coordinates: Coordinates[] = [];
    for (const [index, { partition, at }] of batches.entries()) {
      for (const [delta, record] of at.entries()) {
        coordinates[record] = { topic, partition, offset: (bases[index] ?? 0) + delta };
      }
    }
    return { coordinates, inTransaction };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([disconnect(this.#plain), disconnect(this.#transactional)]);
  }

  /** One batch of a partition at a time. */
  #sendPlain(topic: string, batch: Batch): Promise<number> {
    const partition = `${topic}/${batch.partition}`;
    const sent = (this.#lastBatches.get(partition) ?? Promise.resolve()).then(() => this.#sendPatiently(topic, batch));
    this.#lastBatches.set(
      partition,
      sent.catch(() => undefined),
    );
    return sent;
  }

  async #sendPatiently(topic: string, { messages }: Batch): Promise<number> {
    let mine: Producer | null = null;
    try {
      return await this.#connection.patience.run({
        topic,
        isWanted: () => !this.#isClosed,
        work: async () => {
          // The same producer as long as the batch may be there already: to another it would be a new one.
          mine ??= await this.#connectPlain();
          return baseOf(await mine.send({ topic, messages }));
        },
      });
    } catch (error) {
      if (!wasRefused(error) && mine) this.#retire(mine);
      throw error;
    }
  }

  #connectPlain(): Promise<Producer> {
    const kafka = kafkaClient(this.#connection);
    const connecting = this.#plain ?? connected(kafka.producer({ createPartitioner, idempotent: true }));
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
  #sendAll(topic: string, batches: readonly Batch[]): Promise<readonly number[]> {
    const sent = this.#lastTransaction.then(() => this.#transact(topic, batches));
    this.#lastTransaction = sent.catch(() => undefined);
    return sent;
  }

  async #transact(topic: string, batches: readonly Batch[]): Promise<readonly number[]> {
    this.#transactional ??= connected(
      kafkaClient(this.#connection, 'many').producer({
        createPartitioner,
        idempotent: true,
        maxInFlightRequests: 1,
        transactionalId: this.#transactionalId,
        transactionTimeout: TRANSACTION_TIMEOUT_MS,
      }),
    );
    const mine = this.#transactional;
    let transaction: Transaction | null = null;
    try {
      transaction = await (await mine).transaction();
      const bases: number[] = [];
      for (const { messages } of batches) bases.push(baseOf(await transaction.send({ topic, messages })));
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

/** Splits records by partition, in order, into what a broker takes at once. */
function toBatches(records: readonly Outgoing[]): readonly Batch[] {
  const batches: Batch[] = [];
  const open = new Map<number, Batch>();
  for (const [at, { partition, message, bytes }] of records.entries()) {
    let batch = open.get(partition);
    if (!batch || batch.bytes + bytes > BATCH_BYTES) {
      batch = { partition, at: [], messages: [], bytes: 0 };
      open.set(partition, batch);
      batches.push(batch);
    }
    batch.at.push(at);
    batch.messages.push(message);
    batch.bytes += bytes;
  }
  return batches;
}

/** Every record comes with its partition. */
function createPartitioner() {
  return ({ message }: { readonly message: Message }): number => message.partition ?? 0;
}

/** Whether a broker has said that it did not take the batch, so that nothing of it can be there. */
function wasRefused(error: unknown): boolean {
  return error instanceof MillraceError && (error.code === 'record-too-large' || error.code === 'topic-missing');
}

function baseOf([metadata]: readonly RecordMetadata[]): number {
  return Number(metadata?.baseOffset);
}

async function connected(producer: Producer): Promise<Producer> {
  await producer.connect();
  return producer;
}

async function disconnect(producer: Promise<Producer> | null): Promise<void> {
  await producer?.then((each) => each.disconnect()).catch(() => undefined);
}
