import { takeWhile } from 'rxjs';
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
  const isWanted = (element: Element<T>): boolean => {
    if (!subscriber.closed) listener.take(element);
    return !subscriber.closed;
  };
  const complete = (): void => {
    if (subscriber.closed) return;
    try {
      listener.sourceCompleted();
    } catch (error) {
      subscriber.error(error);
    }
  };
  // One operator, where two would say it better: this is on the way of every record, several times.
  return flow.pipe(takeWhile(isWanted)).subscribe({ complete, error: (error: unknown) => subscriber.error(error) });
}
