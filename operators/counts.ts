import { z } from 'zod';
import type { Uid } from './flow.ts';
import type { Json } from './types.ts';

/** What one operator has done in the job's life: by what it did, by why or to what, such as `{ dropped: { wordCount: 3 } }`. */
export type OwnCounts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/**
 * The same of several operators, by uid. It rides on elements: each operator that counts adds its own to what passes, all
 * that it has counted so far. So whatever is dropped on the way, the next element says it, and nothing has to be added up.
 */
export type Counts = Readonly<Record<Uid, OwnCounts>>;

const ownCountsSchema = z.record(z.string(), z.record(z.string(), z.int()));

export const countsSchema: z.ZodType<Counts> = z.record(z.string(), ownCountsSchema);

/** What an operator counts, as a part of its state. */
export class Tally {
  readonly #counts: Record<string, Record<string, number>>;
  #shown: OwnCounts | null = null;

  constructor(counts: OwnCounts = {}) {
    this.#counts = copyOf(counts);
  }

  /** Out of what a snapshot has. Throws where it is none. */
  static restored(json: Json): Tally {
    return new Tally(ownCountsSchema.parse(json));
  }

  add(what: string, which: string, by: number = 1): void {
    const counts = (this.#counts[what] ??= {});
    counts[which] = (counts[which] ?? 0) + by;
    this.#shown = null;
  }

  /** As it is now; what is added later does not change it. */
  get counts(): OwnCounts {
    this.#shown ??= copyOf(this.#counts);
    return this.#shown;
  }

  snapshot(): Json {
    return copyOf(this.#counts);
  }
}

/** An element that says what an operator has counted too. */
export function withCounts<E extends { readonly counts?: Counts }>(element: E, uid: Uid, own: OwnCounts): E {
  return { ...element, counts: { ...element.counts, [uid]: own } };
}

/** Sums over all operators, by what was done. */
export function totalsOf(counts: Counts): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  for (const [what, which] of Object.values(counts).flatMap((own) => Object.entries(own))) {
    const sum = Object.values(which).reduce((all, each) => all + each, 0);
    totals.set(what, (totals.get(what) ?? 0) + sum);
  }
  return totals;
}

function copyOf(counts: OwnCounts): Record<string, Record<string, number>> {
  return Object.fromEntries(Object.entries(counts).map(([what, which]) => [what, { ...which }]));
}
