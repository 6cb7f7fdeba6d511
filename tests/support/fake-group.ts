import { Observable } from 'rxjs';
import type { Subscriber } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import type { Assignment, Assignments, LedgerPlace, Position } from '../../operators/ports.ts';

/** A group whose members are moved by hand. It holds what was committed, as a broker does. */
export class FakeGroup {
  readonly name: string;
  readonly offsets: Map<string, number> = new Map();
  readonly places: Map<string, LedgerPlace> = new Map();
  /** Cuts that counted, as `job: text/0@3 text/1@2 | 1+0`. */
  readonly commits: string[] = [];

  constructor(name = 'group') {
    this.name = name;
  }

  member(job: string): FakeMember {
    return new FakeMember(this, job);
  }
}

export class FakeMember implements Assignments {
  readonly group: string;
  readonly #group: FakeGroup;
  readonly #job: string;
  #subscriber: Subscriber<Assignment> | null = null;
  #handOver: () => Promise<void> = async () => {};
  #generation = 0;

  constructor(group: FakeGroup, job: string) {
    this.group = group.name;
    this.#group = group;
    this.#job = job;
  }

  async counted(): Promise<LedgerPlace | null> {
    return this.#group.places.get(this.#job) ?? null;
  }

  watch(handOver: () => Promise<void>): Observable<Assignment> {
    return new Observable((subscriber) => {
      this.#subscriber = subscriber;
      this.#handOver = handOver;
    });
  }

  /** What a rebalance begins with: resolves when the cut of the hand-over counts. */
  askBack(): Promise<void> {
    return this.#handOver();
  }

  /** What a rebalance ends with. */
  assign(...partitions: readonly number[]): void {
    this.#generation += 1;
    const generation = this.#generation;
    this.#subscriber?.next({
      partitions: partitions.map((partition) => {
        return { topic: 'text', partition, offset: this.#group.offsets.get(`text/${partition}`) ?? null };
      }),
      commit: async (positions, place) => {
        if (generation !== this.#generation) throw new MillraceError('group-fenced', 'Not ours any more.');
        this.#commit(positions, place);
      },
    });
  }

  /** The group has given the partitions to others without asking; the member hears of it, or not yet. */
  fence(isTold = true): void {
    this.#generation += 1;
    if (isTold) this.#subscriber?.error(new MillraceError('group-fenced', 'Not ours any more.'));
  }

  #commit(positions: readonly Position[], place: LedgerPlace): void {
    for (const { topic, partition, offset } of positions) this.#group.offsets.set(`${topic}/${partition}`, offset);
    this.#group.places.set(this.#job, place);
    const where = positions.map(({ topic, partition, offset }) => `${topic}/${partition}@${offset}`);
    this.#group.commits.push(`${this.#job}: ${where.join(' ')} | ${place.entry}+${place.played}`);
  }
}
