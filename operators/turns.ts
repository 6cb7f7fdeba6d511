import { z } from 'zod';
import type { PartitionId, Position } from './ports.ts';
import { keyOf } from './standing.ts';

/** A share of the text for each topic: of two that are 3 and 1, the first gets three times as many bytes. */
export type MixWeights = Readonly<Record<string, number>>;

/** How far a topic has come, where topics are mixed. */
interface TopicTurn {
  /** Bytes that were read of it, over its weight; a topic that comes back from having nothing is where the others are. */
  readonly served: number;
  /** Partition that its last run came from. */
  readonly lastRun: string;
}

/** What is remembered of whose turn it is. */
export interface TurnsState {
  /** Partition that the last run came from; the next one's turn is next. */
  readonly lastRun: string | null;
  /** By topic, of those that were read. */
  readonly mixed: Readonly<Record<string, TopicTurn>>;
}

export const mixedSchema: z.ZodType<TurnsState['mixed']> = z.record(
  z.string(),
  z.object({ served: z.number(), lastRun: z.string() }),
);

/**
 * Says whose turn it is to be read. Without weights, partitions take turns. With weights it is the topic's that has had the
 * fewest bytes for its weight; a topic that has nothing is passed over, and gets no more for it later (start-time fair
 * queueing, Goyal, Vin and Cheng 1996). All of it follows from the runs that were read, so that it is the same when they are
 * read again.
 */
export class Turns {
  readonly #weights: MixWeights | null;
  #lastRun: string | null;
  readonly #mixed: Map<string, TopicTurn>;

  constructor(weights: MixWeights | null, { lastRun, mixed }: TurnsState) {
    this.#weights = weights;
    this.#lastRun = lastRun;
    this.#mixed = new Map(Object.entries(mixed));
  }

  get state(): TurnsState {
    const mixed = Object.fromEntries([...this.#mixed].map(([topic, turn]) => [topic, { ...turn }]));
    return { lastRun: this.#lastRun, mixed };
  }

  /** Partitions in the order in which they are to be asked for records. */
  inOrder(positions: readonly Position[]): readonly Position[] {
    if (!this.#weights) return behind(positions, this.#lastRun);
    const topics = [...new Set(positions.map(({ topic }) => topic))];
    const byTurn = topics.toSorted((one, other) => this.#servedOf(one) - this.#servedOf(other));
    return byTurn.flatMap((name) => {
      const own = positions.filter(({ topic }) => topic === name);
      return behind(own, this.#mixed.get(name)?.lastRun ?? null);
    });
  }

  /** A run of a partition begins: whoever's turn it was before had nothing. */
  begin(run: PartitionId, topics: readonly string[]): void {
    if (!this.#weights) return;
    const served = this.#servedOf(run.topic);
    for (const topic of topics) {
      const turn = this.#mixed.get(topic);
      if (!turn || turn.served < served) this.#mixed.set(topic, { lastRun: turn?.lastRun ?? '', served });
    }
    this.#mixed.set(run.topic, { served, lastRun: keyOf(run) });
  }

  /** So many bytes of a topic were read. */
  read(topic: string, bytes: number): void {
    const turn = this.#mixed.get(topic);
    const weight = this.#weights?.[topic] ?? 1;
    if (this.#weights && turn) this.#mixed.set(topic, { ...turn, served: turn.served + bytes / weight });
  }

  end(run: PartitionId): void {
    this.#lastRun = keyOf(run);
  }

  /** A topic that is new begins where the last one is. */
  #servedOf(topic: string): number {
    const known = [...this.#mixed.values()].map(({ served }) => served);
    return this.#mixed.get(topic)?.served ?? (known.length > 0 ? Math.min(...known) : 0);
  }
}

/** All of them, beginning behind one. */
function behind(positions: readonly Position[], last: string | null): readonly Position[] {
  const index = positions.findIndex((position) => keyOf(position) === last);
  return [...positions.slice(index + 1), ...positions.slice(0, index + 1)];
}
