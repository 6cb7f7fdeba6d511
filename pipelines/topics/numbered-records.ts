import type { TopicLog, Transactions } from '../../operators/ports.ts';
import type { NewRecord } from '../../operators/types.ts';

export interface NumberedRecordsOptions {
  readonly log: TopicLog;
  /** Of the transactions, and of the group that remembers the numbers. */
  readonly name: string;
  readonly topic: string;
}

/**
 * Records that have numbers, rising ones, each of which is written once however often the process dies: a record and how far
 * its writer has come are one transaction. An older process of the same name is fenced.
 */
export class NumberedRecords {
  readonly #options: NumberedRecordsOptions;
  #transactions: Promise<Transactions> | null = null;
  #next = 0;

  constructor(options: NumberedRecordsOptions) {
    this.#options = options;
  }

  /** Numbers below this are written, as far as is known: nothing is before `opened`. */
  get next(): number {
    return this.#next;
  }

  /** Resolves with `next`; tries again where that has failed. */
  async opened(): Promise<number> {
    await this.#opened();
    return this.#next;
  }

  /** Resolves once the record will outlive the process. */
  async write(number: number, record: Omit<NewRecord, 'partition'>): Promise<void> {
    const { topic } = this.#options;
    const transactions = await this.#opened();
    const offset = number + 1;
    await transactions.commit({
      records: [{ ...record, topic, partition: 0 }],
      positions: [{ topic, partition: 0, offset }],
    });
    this.#next = offset;
  }

  async close(): Promise<void> {
    const transactions = await this.#transactions?.catch(() => null);
    await transactions?.close();
  }

  async #opened(): Promise<Transactions> {
    this.#transactions ??= this.#open();
    try {
      return await this.#transactions;
    } catch (error) {
      this.#transactions = null;
      throw error;
    }
  }

  async #open(): Promise<Transactions> {
    const { log, name, topic } = this.#options;
    const transactions = await log.transactions(name, name);
    const [position] = await log.committed(name, topic);
    this.#next = position?.offset ?? 0;
    return transactions;
  }
}
