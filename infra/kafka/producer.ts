import type { Kafka, Message, Producer, RecordMetadata, Transaction } from 'kafkajs';
import type { Coordinates } from '../../operators/types.ts';
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
    await Promise.all([disconnect(this.#plain), disconnect(this.#transactional)]);
  }

  async #sendPlain(topic: string, { messages }: Batch): Promise<number> {
    this.#plain ??= connected(this.#kafka.producer({ createPartitioner, idempotent: true }));
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
  #sendAll(topic: string, batches: readonly Batch[]): Promise<readonly number[]> {
    const sent = this.#lastTransaction.then(() => this.#transact(topic, batches));
    this.#lastTransaction = sent.catch(() => undefined);
    return sent;
  }

  async #transact(topic: string, batches: readonly Batch[]): Promise<readonly number[]> {
    this.#transactional ??= connected(
      this.#kafka.producer({
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
