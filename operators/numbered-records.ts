import { z } from 'zod';
import type { Restore } from './flow.ts';
import type { TopicLog } from './ports.ts';
import { PUBLISHER, SEQUENCE, lastSequence } from './published.ts';
import type { Json, NewRecord } from './types.ts';

export interface NumberedRecordsOptions {
  readonly log: TopicLog;
  readonly topic: string;
  /** Name that the records carry of who wrote them. */
  readonly publisher: string;
  /** False where the stream can't be repeated: each record is then produced at least once. */
  readonly exactlyOnce?: boolean;
}

const int = z.number().int();

interface NumberedState {
  published: number;
  /** Where the topic's partitions ended at the cut: what was published behind it lies behind these. */
  ends: { topic: string; partition: number; offset: number }[];
}

export const numberedStateSchema: z.ZodType<NumberedState> = z.object({
  published: int,
  ends: z.array(z.object({ topic: z.string(), partition: int, offset: int })).default([]),
});

/**
 * Produces the records of one operator to a topic, each once: every record carries its number. After a restart the numbers
 * go on from the cut, and records that the topic already has are not produced again. This holds where the stream repeats
 * itself after a restart, also when others write to the topic, save that before the first cut only so much is searched as
 * they write in a while. Until those are behind it, the source is kept from handing over to another graph, which would say
 * something else. Where the restore mark says that what followed the cut was undone, records are produced anew, under a name
 * of their own.
 */
export class NumberedRecords {
  readonly #options: NumberedRecordsOptions;
  #name: string;
  #published = 0;
  #alreadyThere = 0;
  #ends: NumberedState['ends'] = [];
  #repeated: () => void = () => {};

  constructor(options: NumberedRecordsOptions) {
    this.#options = options;
    this.#name = options.publisher;
  }

  /** Goes on from what `snapshot` gave at the cut; from nothing where there is none. */
  async restore(state: NumberedState | null, { timeline, source }: Restore): Promise<void> {
    const { log, topic, publisher, exactlyOnce = true } = this.#options;
    ({ published: this.#published, ends: this.#ends } = state ?? { published: 0, ends: [] });
    this.#name = timeline === 0 ? publisher : `${publisher}~${timeline}`;
    // A graph may have had it write elsewhere before.
    const ends = this.#ends.filter((end) => end.topic === topic);
    this.#alreadyThere = exactlyOnce ? await lastSequence(log, topic, this.#name, ends) : 0;
    if (this.#published < this.#alreadyThere) this.#repeated = source.holdDeploy();
  }

  /** Produces those of the records that the topic does not have; resolves once the log has them. */
  async send(records: readonly NewRecord[]): Promise<void> {
    if (records.length === 0) return;
    const { log, topic } = this.#options;
    const before = this.#published;
    this.#published += records.length;
    const numbered = records.map((record, at) => ({
      ...record,
      headers: { ...record.headers, [SEQUENCE]: String(before + at + 1), [PUBLISHER]: this.#name },
    }));
    const news = numbered.slice(Math.max(0, this.#alreadyThere - before));
    if (news.length > 0) await log.produce(topic, news);
    if (before < this.#alreadyThere && this.#published >= this.#alreadyThere) this.#repeated();
  }

  /** How many were produced, and where the topic ended. */
  async snapshot(): Promise<{ readonly [key: string]: Json }> {
    const { log, topic, exactlyOnce = true } = this.#options;
    // While what is already there is repeated, it lies behind where the topic ended before.
    if (exactlyOnce && this.#published >= this.#alreadyThere) {
      this.#ends = (await log.offsets(topic)).map(({ partition, end }) => ({ topic, partition, offset: end }));
    }
    return { published: this.#published, ends: this.#ends.map((each) => ({ ...each })) };
  }
}
