import { takeWhile, tap } from 'rxjs';
import type { Subscriber, Subscription } from 'rxjs';
import type { Element, Flow } from './flow.ts';

/** What an operator that is written by hand does with its source. */
export interface Listener<T> {
  take(element: Element<T>): void;
  sourceCompleted(): void;
}

/**
 * Subscribes a listener to a flow on behalf of a subscriber. Stops as soon as the subscriber is closed, also within a
 * source that emits in one go; errors of the source, and what the listener throws, end the subscriber's flow.
 */
export function listen<T>(flow: Flow<T>, listener: Listener<T>, subscriber: Subscriber<unknown>): Subscription {
  return flow
    .pipe(
      takeWhile(() => !subscriber.closed),
      tap({ next: (element) => listener.take(element), complete: () => listener.sourceCompleted() }),
    )
    .subscribe({ error: (error: unknown) => subscriber.error(error) });
}
