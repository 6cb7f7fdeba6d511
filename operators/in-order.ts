import { Observable } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { isItem } from './flow.ts';
import type { Element } from './flow.ts';
import { listen } from './listen.ts';

/** What becomes of one element: the elements to emit in its place, now or later. */
export type Handler<T, R> = (element: Element<T>) => readonly Element<R>[] | Promise<readonly Element<R>[]>;

/**
 * Emits what `handle` makes of each element.
 *
 * Order: as the elements came, whichever promise settles first. Up to `concurrency` items are handled at once; a mark is
 * handled alone, after all before it and before all behind it, so that it still cuts the stream at one place.
 * Backpressure: elements that wait are held here; their number is bounded by their source's window.
 * Errors: the first one ends the flow, from the source or from `handle`. Completion: after the last element's outputs.
 *
 * Hand-written because no RxJS operator both starts several promises and emits in order with fences between them.
 */
export function inOrder<T, R>(handle: Handler<T, R>, concurrency = 1): OperatorFunction<Element<T>, Element<R>> {
  return (flow) =>
    new Observable((subscriber) => {
      const waiting: Element<T>[] = [];
      const running: { readonly fence: boolean; outputs: readonly Element<R>[] | null }[] = [];
      let sourceCompleted = false;
      let pumping = false;

      const emit = (outputs: readonly Element<R>[]): void => {
        for (const output of outputs) subscriber.next(output);
      };

      const mayStart = (next: Element<T>): boolean =>
        running.length === 0 || (isItem(next) && running.length < concurrency && running.every((task) => !task.fence));

      const start = (element: Element<T>): void => {
        const outputs = handle(element);
        if (!(outputs instanceof Promise)) {
          if (running.length === 0) emit(outputs);
          else running.push({ fence: !isItem(element), outputs });
          return;
        }
        const task: (typeof running)[number] = { fence: !isItem(element), outputs: null };
        running.push(task);
        outputs.then(
          (settled) => {
            task.outputs = settled;
            pump();
          },
          (error: unknown) => subscriber.error(error),
        );
      };

      const emitSettled = (): boolean => {
        const outputs = running[0]?.outputs;
        if (!outputs) return false;
        running.shift();
        emit(outputs);
        return true;
      };

      const startNext = (): boolean => {
        const next = waiting[0];
        if (!next || !mayStart(next)) return false;
        waiting.shift();
        start(next);
        return true;
      };

      const pump = (): void => {
        if (pumping) return;
        pumping = true;
        try {
          while (!subscriber.closed && (emitSettled() || startNext()));
        } catch (error) {
          subscriber.error(error);
        }
        pumping = false;
        if (sourceCompleted && waiting.length === 0 && running.length === 0) subscriber.complete();
      };

      const take = (element: Element<T>): void => {
        waiting.push(element);
        pump();
      };
      const complete = (): void => {
        sourceCompleted = true;
        pump();
      };
      return listen(flow, { take, sourceCompleted: complete }, subscriber);
    });
}
