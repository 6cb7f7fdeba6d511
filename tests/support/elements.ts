import type { Barrier, Element, Item, Restore, Source, Tick, Uid } from '../../operators/flow.ts';
import { isItem } from '../../operators/flow.ts';
import type { Coordinates, CutReason, Snapshot } from '../../operators/types.ts';
import { Window } from '../../operators/window.ts';

/** A source that stands still: it makes elements, and notes what operators ask of it. */
export class TestSource implements Source {
  readonly window: Window;
  readonly requestedCuts: CutReason[] = [];
  readonly committed: Barrier[] = [];
  requestedSpareTicks = 0;
  /** How many operators put deployments off. */
  holds = 0;

  constructor(limitBytes = 1000) {
    this.window = new Window(limitBytes);
  }

  requestCut(reason: CutReason): void {
    this.requestedCuts.push(reason);
  }

  holdDeploy(): () => void {
    this.holds += 1;
    return () => (this.holds -= 1);
  }

  async cutCommitted(barrier: Barrier): Promise<void> {
    this.committed.push(barrier);
  }

  requestSpareTick(): void {
    this.requestedSpareTicks += 1;
  }

  reads(): readonly [] {
    return [];
  }

  item<T>(value: T, bytes = 0): Item<T> {
    return { kind: 'item', value, bytes, source: this };
  }

  /** An item whose bytes have been taken from the window, as `ingest` emits it. */
  taken<T>(value: T, bytes: number): Item<T> {
    this.window.take(bytes);
    return this.item(value, bytes);
  }

  /** A barrier, with the snapshots that its basket holds already. */
  barrier(basket: Readonly<Record<Uid, Snapshot>> = {}, reason: CutReason = 'timer'): Barrier {
    return { kind: 'barrier', reason, basket: new Map(Object.entries(basket)), source: this };
  }

  restore(states: Readonly<Record<Uid, Snapshot>> | ReadonlyMap<Uid, Snapshot> = {}): Restore {
    const map = states instanceof Map ? states : new Map(Object.entries(states));
    return { kind: 'restore', states: map, timeline: 0, source: this };
  }

  tick(atMs: number): Tick {
    return { kind: 'tick', atMs, source: this };
  }

  /** A tick that says that there is time to spare. */
  spareTick(atMs: number): Tick {
    return { kind: 'tick', atMs, isSpare: true, source: this };
  }
}

/** Where the prompt of a name stands: those of greater letters, or numbers, behind those of smaller ones. */
export function promptAt(id: string): Coordinates {
  return { topic: 'prompts', partition: 0, offset: /^\d+$/.test(id) ? Number(id) : (id.codePointAt(0) ?? 0) };
}

/** What a store would give back: the snapshots of a basket, through JSON. */
export function asStored(basket: ReadonlyMap<Uid, Snapshot>): ReadonlyMap<Uid, Snapshot> {
  const entries: [Uid, Snapshot][] = JSON.parse(JSON.stringify([...basket]));
  return new Map(entries);
}

export function valuesOf<T>(elements: readonly Element<T>[]): T[] {
  return elements.filter(isItem).map((item) => item.value);
}
