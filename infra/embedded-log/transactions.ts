import type { Transaction, Transactions } from '../../operators/ports.ts';
import type { Coordinates } from '../../operators/types.ts';
import { byTopic } from '../by-topic.ts';
import { producerFenced } from '../producer-fenced.ts';
import { checkTransaction } from '../topic-rules.ts';
import { positionsWriter } from './groups.ts';
import type { RecordWriter } from './record-writer.ts';
import type { Storage } from './storage.ts';
import type { Topics } from './topics.ts';

export interface TransactionsContext {
  readonly storage: Storage;
  readonly topics: Topics;
  readonly writer: RecordWriter;
  /** Throws `log-closed`. */
  readonly checkOpen: () => void;
}

/** Takes an id over: counts its openings, and what bears an earlier number commits nothing more. */
export async function openTransactions(context: TransactionsContext, id: string, group: string): Promise<Transactions> {
  const { storage } = context;
  const epoch = await storage.write(() => {
    const next = (storage.producers.get(id) ?? 0) + 1;
    storage.producers.putSync(id, next);
    return next;
  });
  return new EmbeddedTransactions(context, id, group, epoch);
}

/** A transaction is one of LMDB's, so there is none to be aborted, taken up or waited for. */
class EmbeddedTransactions implements Transactions {
  readonly #context: TransactionsContext;
  readonly #id: string;
  readonly #group: string;
  readonly #epoch: number;

  constructor(context: TransactionsContext, id: string, group: string, epoch: number) {
    this.#context = context;
    this.#id = id;
    this.#group = group;
    this.#epoch = epoch;
  }

  async commit(transaction: Transaction): Promise<readonly Coordinates[]> {
    const { storage, topics, writer, checkOpen } = this.#context;
    checkOpen();
    checkTransaction(transaction);
    const { records, positions } = transaction;
    const movePositions = positionsWriter(storage, topics, this.#group, positions);
    const appends = byTopic(records).map(({ topic, at, records: own }) => ({ at, append: writer.prepare(topic, own) }));
    const coordinates: Coordinates[] = [];
    await writer.write(() => {
      if (storage.producers.get(this.#id) !== this.#epoch) throw producerFenced(this.#id);
      for (const { at, append } of appends) {
        for (const [index, each] of append().entries()) coordinates[at[index] ?? 0] = each;
      }
      movePositions();
    });
    return coordinates;
  }

  async close(): Promise<void> {}
}
