import type { Observable } from 'rxjs';
import type { Counts } from './counts.ts';
import type { Position } from './ports.ts';
import type { CutReason, Snapshot } from './types.ts';
import type { Window } from './window.ts';

/**
 * A stream of items with marks among them. Items and marks keep their order through every operator, which is what makes
 * a barrier a consistent cut (Chandy and Lamport 1985; Carbone et al. 2015, the method of Flink).
 */
export type Flow<T> = Observable<Element<T>>;

export type Element<T> = Item<T> | Mark;
export type Mark = Restore | Barrier | Tick;

export interface Item<T> {
  readonly kind: 'item';
  readonly value: T;
  /** What this item has taken from its source's window. */
  readonly bytes: number;
  /** Those bytes were taken as spare. */
  readonly isSpare?: boolean;
  readonly source: Source;
  /** What operators have counted up to here. */
  readonly counts?: Counts;
}

/** Once, before the first item: the states of the last cut by uid. Empty for a job that starts anew. */
export interface Restore {
  readonly kind: 'restore';
  readonly states: ReadonlyMap<Uid, Snapshot>;
  /**
   * Greater than in the run before when what had followed the cut was undone: what follows it now is something else. As
   * long as it stays the same, the stream repeats itself.
   */
  readonly timeline: number;
  readonly source: Source;
}

/** A cut: every stateful operator puts its snapshot into the basket and lets the barrier float on. */
export interface Barrier {
  readonly kind: 'barrier';
  readonly reason: CutReason;
  readonly basket: Map<Uid, Snapshot>;
  readonly source: Source;
  /** What changes behind it. */
  readonly change?: Change;
  /** Settles when snapshots that were on their way are in the basket too; who stores the cut waits for that. */
  writing?: Promise<void>;
  /** What operators have counted up to here: for who watches the job, as their states have it too. */
  counts?: Counts;
}

/** Something that operators are told at a cut, where they need not be built anew for it. */
export interface Change {
  /** Called by whom it concerns, when all before the cut is done and nothing behind it is begun. */
  tell(): Promise<void>;
  /** Settles when the change is decided. Until then nothing that follows the cut may be seen outside of the job. */
  readonly counts: Promise<void>;
}

/**
 * The source's clock as part of the stream. Operators never look at a clock of their own, since what they decided could
 * then not be repeated; ticks are written to the ledger and recur at the same place after a restart.
 */
export interface Tick {
  readonly kind: 'tick';
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** Everything before it is done, and there is nothing to read: there is time to spare. */
  readonly isSpare?: boolean;
  readonly source: Source;
  /** What operators have counted up to here, also where no item has come through. */
  readonly counts?: Counts;
}

/** Name of an operator in a graph; its state belongs to it, wherever in the graph it stands. */
export type Uid = string;

/** How far a source has read in a partition. */
export interface Reading extends Position {
  /** Where it began to, or went on, when it was given the partition. */
  readonly from: number;
}

/** What every element knows of the source that it came from. */
export interface Source {
  readonly window: Window;
  /**
   * Asks the source to let down a barrier as soon as it can. Periodic requests that wait are merged into one. Behind a
   * barrier for `deploy` the source emits nothing more, since another graph goes on there; unless a change is all that the
   * cut is for.
   */
  requestCut(reason: CutReason, change?: Change): void;
  /**
   * Puts off barriers for `deploy` until every returned function was called. What a run before this one did behind the cut
   * has to be repeated by the same graph, before another goes on.
   */
  holdDeploy(): () => void;
  /**
   * Tells the source that a cut is stored, so that it reports its offsets to the log: for people to see, and, where
   * partitions are shared, to make the cut count. Rejects with `group-fenced` when it does not.
   */
  cutCommitted(barrier: Barrier): Promise<void>;
  /**
   * Asks for one tick as soon as there is time to spare: when everything that came from here is done, and there is nothing
   * to read. It comes however long it is until the next one would.
   */
  requestSpareTick(): void;
  /** The partitions that are read now. */
  reads(): readonly Reading[];
}

export function isItem<T>(element: Element<T>): element is Item<T> {
  return element.kind === 'item';
}
