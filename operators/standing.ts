import type { LedgerEntry, LedgerPlace, PartitionId, Position } from './ports.ts';

/** What is left of a ledger behind a place. */
export interface Standing {
  /** An entry of which nothing is left is null, so that the places of the others stay. */
  readonly entries: readonly (LedgerEntry | null)[];
  /** Position behind the last entry that undid others, or null where none did. */
  readonly undoneAt: number | null;
  /** True when also what stands before the first of these entries was undone. */
  readonly isUndone: boolean;
}

/** Applies `short` and `undo` to the entries of a ledger that follow a place. */
export function standingFrom({ entry: first, played }: LedgerPlace, entries: readonly LedgerEntry[]): Standing {
  const left: (LedgerEntry | null)[] = [...entries];
  let undoneAt: number | null = null;
  let isUndone = false;

  const shorten = (index: number, count: number): void => {
    const run = left[index];
    if (run?.kind === 'run') left[index] = count > 0 ? { ...run, count: Math.min(run.count, count) } : null;
  };
  for (const [index, entry] of entries.entries()) {
    if (entry.kind === 'short') {
      left[index] = null;
      shorten(index - 1, entry.count);
    } else if (entry.kind === 'undo') {
      const from = entry.to.entry - first;
      isUndone ||= from < 0 || (from === 0 && entry.to.played < played);
      left.fill(null, Math.max(0, entry.to.played > 0 ? from + 1 : from), index + 1);
      shorten(from, entry.to.played);
      undoneAt = first + index + 1;
    }
  }
  const [begun] = left;
  if (begun?.kind === 'run' && begun.count <= played) left[0] = null;
  return { entries: left, undoneAt, isUndone };
}

export type Run = LedgerEntry & { readonly kind: 'run' };

/** What lies behind a place in a ledger. */
export interface Beyond {
  /** The run that the place is in the midst of, and of which there is more. */
  readonly begun: Run | null;
  readonly entries: readonly LedgerEntry[];
}

/** Of entries that follow one place, those that lie behind another. */
export function beyond({ entry: first }: LedgerPlace, { entries }: Standing, { entry, played }: LedgerPlace): Beyond {
  const [at, ...after] = entries.slice(Math.max(0, entry - first));
  const isBegun = at?.kind === 'run' && played > 0;
  const begun = isBegun && at.count > played ? at : null;
  return { begun, entries: [isBegun ? null : (at ?? null), ...after].filter((each) => each !== null) };
}

export function isBehind(place: LedgerPlace, other: LedgerPlace): boolean {
  return place.entry > other.entry || (place.entry === other.entry && place.played > other.played);
}

/** Where each partition was first read, or was to be, after a cut: the start of a partition that the cut does not know. */
export function firstRuns(entries: readonly (LedgerEntry | null)[]): ReadonlyMap<string, Position> {
  const first = new Map<string, Position>();
  for (const entry of entries) {
    if ((entry?.kind !== 'run' && entry?.kind !== 'lost') || first.has(keyOf(entry))) continue;
    first.set(keyOf(entry), { topic: entry.topic, partition: entry.partition, offset: entry.from });
  }
  return first;
}

export function keyOf({ topic, partition }: PartitionId): string {
  return `${topic}/${partition}`;
}
