import { defer } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { MillraceError } from './errors.ts';
import { withCounts } from './counts.ts';
import type { OwnCounts } from './counts.ts';
import type { Element, Item, Restore, Source, Tick, Uid } from './flow.ts';
import { inOrder } from './in-order.ts';
import type { Handler } from './in-order.ts';
import type { Json } from './types.ts';

/** What an operator with memory has to say; everything about marks and windows is done for it. */
export interface StatefulSpec<T, R, S> {
  /** The state of a job that starts anew. */
  init(): S;
  /** Takes one value into the state (which it may change in place) and returns what is to be emitted. */
  next(state: S, value: T): readonly R[] | Promise<readonly R[]>;
  /** The source's clock went on; what is to be emitted because of it. */
  tick?(state: S, atMs: number): readonly R[];
  /** There is time to spare, which was asked for; what is to be emitted in it. */
  spare?(state: S): readonly R[];
  /** Whether there is something to do in spare time. Asked after each item, after a restore, and after each time that was to spare. */
  wantsSpare?(state: S): boolean;
  /** The state as JSON: must not share anything that `next` changes later. */
  snapshot(state: S): Json;
  /** The state back out of what `snapshot` gave. Throws when it can't be read. */
  restore(json: Json): S;
  /** What an emitted value takes from the window. */
  bytes(value: R): number;
  /** What it has counted, which goes on with all that it emits; must not change later. */
  counts?(state: S): OwnCounts;
}

/**
 * Makes an operator of a state and a function: emits what `next` and `tick` return.
 *
 * Order: kept. Backpressure: a value's bytes go back when it has been absorbed, an emitted one takes its own. Errors: a
 * throw ends the flow; a state that can't be read ends it with `state-invalid`. Snapshot: `snapshot(state)` under `uid`.
 * Counts: of an input go on with what is emitted for it, and its own with that.
 */
export function stateful<T, R, S>(uid: Uid, spec: StatefulSpec<T, R, S>): OperatorFunction<Element<T>, Element<R>> {
  return (flow) => defer(() => flow.pipe(inOrder(handler(uid, spec))));
}

/** One subscription's state, and what it does with each element. */
function handler<T, R, S>(uid: Uid, spec: StatefulSpec<T, R, S>): Handler<T, R> {
  let state = spec.init();

  const counted = <E extends Item<T> | Tick>(element: E): E =>
    spec.counts ? withCounts(element, uid, spec.counts(state)) : element;

  const emit = (values: readonly R[], { source, counts }: Item<T> | Tick, isSpare = false): readonly Item<R>[] =>
    values.map((value) => {
      const bytes = spec.bytes(value);
      source.window.take(bytes, isSpare);
      return { kind: 'item', value, bytes, source, ...(isSpare ? { isSpare } : {}), ...(counts ? { counts } : {}) };
    });

  const askForSpare = (source: Source): void => {
    if (spec.wantsSpare?.(state)) source.requestSpareTick();
  };

  const finish = (item: Item<T>, values: readonly R[]): readonly Item<R>[] => {
    const emitted = emit(values, values.length > 0 ? counted(item) : item);
    item.source.window.give(item.bytes, item.isSpare);
    askForSpare(item.source);
    return emitted;
  };

  const onTick = (element: Tick): readonly Element<R>[] => {
    const values = spec.tick?.(state, element.atMs) ?? [];
    const spareValues = element.isSpare ? (spec.spare?.(state) ?? []) : [];
    const tick = counted(element);
    const emitted = [...emit(values, tick), ...emit(spareValues, tick, true), tick];
    if (tick.isSpare) askForSpare(tick.source);
    return emitted;
  };

  return (element) => {
    switch (element.kind) {
      case 'item': {
        const values = spec.next(state, element.value);
        return values instanceof Promise ? values.then((settled) => finish(element, settled)) : finish(element, values);
      }
      case 'tick':
        return onTick(element);
      case 'restore':
        state = restored(uid, element, spec);
        askForSpare(element.source);
        return [element];
      case 'barrier':
        element.basket.set(uid, { state: spec.snapshot(state) });
        if (spec.counts) element.counts = { ...element.counts, [uid]: spec.counts(state) };
        return [element];
    }
  };
}

function restored<S>(uid: Uid, mark: Restore, spec: Pick<StatefulSpec<never, unknown, S>, 'init' | 'restore'>): S {
  const snapshot = mark.states.get(uid);
  if (!snapshot) return spec.init();
  return readState(uid, () => spec.restore(snapshot.state));
}

/** Runs a parser of restored state; what it throws becomes an error that says which operator and what to do. */
export function readState<S>(uid: Uid, read: () => S): S {
  try {
    return read();
  } catch (cause) {
    throw new MillraceError(
      'state-invalid',
      `The checkpoint's state of "${uid}" can't be read. Was another kind of operator given this uid? ` +
        'Give the new one a uid of its own, or start over with --fresh.',
      { cause },
    );
  }
}
