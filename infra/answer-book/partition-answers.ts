import type { Answer, PartitionId, TopicLog, Transactions } from '../../operators/ports.ts';
import { AnsweredPrompts } from './answered-prompts.ts';

interface Waiting {
  readonly answer: Answer;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The answers to the prompts of one partition. What is done while a transaction is under way goes into the next. */
export class PartitionAnswers {
  readonly #at: PartitionId;
  readonly #answered = new AnsweredPrompts();
  readonly #transactions: Promise<Transactions>;
  #waiting: Waiting[] = [];
  #isCommitting = false;

  constructor(log: TopicLog, group: string, { topic, partition }: PartitionId) {
    this.#at = { topic, partition };
    this.#transactions = this.#open(log, group);
    // Who needs it is told; until then nobody may be listening.
    this.#transactions.catch(() => undefined);
  }

  async opened(): Promise<void> {
    await this.#transactions;
  }

  begin(offset: number): boolean {
    if (this.#answered.has(offset)) return false;
    this.#answered.begin(offset);
    return true;
  }

  commit(answer: Answer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ answer, resolve, reject });
      if (!this.#isCommitting) void this.#commitAll();
    });
  }

  async close(): Promise<void> {
    await this.#transactions.then(
      (transactions) => transactions.close(),
      () => undefined,
    );
  }

  /** First the id, so that nobody else can commit any more, then what was committed by then. */
  async #open(log: TopicLog, group: string): Promise<Transactions> {
    const { topic, partition } = this.#at;
    const transactions = await log.transactions(`${group}/${topic}/${partition}`, group);
    const positions = await log.committed(group, topic);
    const position = positions.find((each) => each.partition === partition);
    if (position) this.#answered.restore(position);
    return transactions;
  }

  async #commitAll(): Promise<void> {
    this.#isCommitting = true;
    while (this.#waiting.length > 0) {
      const together = this.#waiting;
      this.#waiting = [];
      try {
        await this.#commitTogether(together.map(({ answer }) => answer));
        for (const { resolve } of together) resolve();
      } catch (error) {
        for (const { reject } of together) reject(error);
      }
    }
    this.#isCommitting = false;
  }

  async #commitTogether(answers: readonly Answer[]): Promise<void> {
    const transactions = await this.#transactions;
    const news = answers.filter(({ at }) => !this.#answered.has(at.offset));
    if (news.length === 0) return;
    const offsets = news.map(({ at }) => at.offset);
    const position = { ...this.#at, ...this.#answered.with(offsets).position() };
    await transactions.commit({ records: news.flatMap(({ records }) => records), positions: [position] });
    for (const offset of offsets) this.#answered.finish(offset);
  }
}
