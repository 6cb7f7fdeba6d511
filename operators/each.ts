import type { OperatorFunction } from 'rxjs';
import type { Element, Item } from './flow.ts';
import { isItem } from './flow.ts';
import { inOrder } from './in-order.ts';

export interface EachOptions {
  /** How many values may be worked on at once; results keep their order. */
  readonly concurrency?: number;
}

/**
 * Makes an operator of a plain function: emits `fn(value)` for each value, and nothing where it gives `null`.
 *
 * Order: kept, also across asynchronous work. Backpressure: the result goes on under the bytes of its input; a dropped
 * value gives them back. Errors: of `fn` end the flow. Marks pass. No state.
 *
 * @example
 * flow.pipe(each((document) => (document.text.length > 200 ? document : null)))
 */
export function each<T, R>(
  fn: (value: T) => R | null | Promise<R | null>,
  options: EachOptions = {},
): OperatorFunction<Element<T>, Element<R>> {
  const outcome = (item: Item<T>, result: R | null): readonly Item<R>[] => {
    if (result !== null) return [{ ...item, value: result }];
    item.source.window.give(item.bytes, item.isSpare);
    return [];
  };
  return inOrder<T, R>((element) => {
    if (!isItem(element)) return [element];
    const result = fn(element.value);
    return result instanceof Promise ? result.then((settled) => outcome(element, settled)) : outcome(element, result);
  }, options.concurrency);
}
