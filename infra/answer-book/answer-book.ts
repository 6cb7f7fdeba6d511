import type { Answer, AnswerBook, PartitionId, TopicLog } from '../../operators/ports.ts';
import type { Coordinates } from '../../operators/types.ts';
import { PartitionAnswers } from './partition-answers.ts';

export interface AnswerBookOptions {
  /** Under which the log remembers which prompts have an answer. No other job may have the same. */
  readonly group: string;
  /** Topics that prompts come from. */
  readonly topics: readonly string[];
}

/**
 * Opens the book of a job's answers. From then on no earlier process of the same job can commit any, and what it has
 * committed is known here.
 *
 * Each partition of prompts has transactions of its own, as each may be handed to another process by itself.
 */
export async function openAnswerBook(log: TopicLog, { group, topics }: AnswerBookOptions): Promise<AnswerBook> {
  const book = new LogAnswerBook(log, group);
  const partitions = (await Promise.all(topics.map((topic) => log.offsets(topic)))).flat();
  await Promise.all(partitions.map((partition) => book.partition(partition).opened()));
  return book;
}

class LogAnswerBook implements AnswerBook {
  readonly #log: TopicLog;
  readonly #group: string;
  readonly #partitions = new Map<string, PartitionAnswers>();

  constructor(log: TopicLog, group: string) {
    this.#log = log;
    this.#group = group;
  }

  begin({ topic, partition, offset }: Coordinates): boolean {
    return this.partition({ topic, partition }).begin(offset);
  }

  commit(answer: Answer): Promise<void> {
    return this.partition(answer.at).commit(answer);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#partitions.values()].map((each) => each.close()));
  }

  /** Opens a partition when it is first named, which one that was added since the book was opened is by its prompts. */
  partition({ topic, partition }: PartitionId): PartitionAnswers {
    const name = `${topic}/${partition}`;
    const known = this.#partitions.get(name);
    if (known) return known;
    const made = new PartitionAnswers(this.#log, this.#group, { topic, partition });
    this.#partitions.set(name, made);
    return made;
  }
}
