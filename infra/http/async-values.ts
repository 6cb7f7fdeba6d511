import type { Observable } from 'rxjs';

/** How values are kept that come faster than they are taken. */
export interface Waiting<T> {
  /** Values of one key become one while they wait. */
  readonly keyOf: (value: T) => unknown;
  readonly join: (earlier: T, later: T) => T;
}

/**
 * An observable's values, to be waited for one by one. Leaving the loop unsubscribes. No more than one value of each key
 * waits: later ones join it. Order: kept among values of one key.
 */
export async function* asyncValues<T>(observable: Observable<T>, { keyOf, join }: Waiting<T>): AsyncGenerator<T> {
  const waiting = new Map<unknown, T>();
  const end = { came: false, failures: [] as unknown[] };
  let wake: (() => void) | null = null;
  const subscription = observable.subscribe({
    next: (value) => {
      const key = keyOf(value);
      const earlier = waiting.get(key);
      waiting.set(key, earlier === undefined ? value : join(earlier, value));
      wake?.();
    },
    error: (error: unknown) => {
      end.failures.push(error);
      wake?.();
    },
    complete: () => {
      end.came = true;
      wake?.();
    },
  });
  try {
    for (;;) {
      const [first] = waiting;
      if (first) {
        waiting.delete(first[0]);
        yield first[1];
      } else if (end.failures.length > 0) throw end.failures[0];
      else if (end.came) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    subscription.unsubscribe();
  }
}
