import { materialize } from 'rxjs';
import type { Observable, ObservableNotification } from 'rxjs';

/**
 * An observable's values, to be waited for one by one. Leaving the loop unsubscribes. What comes faster than it is taken is
 * kept, so this is for observables that end.
 */
export async function* asyncValues<T>(observable: Observable<T>): AsyncGenerator<T> {
  const waiting: ObservableNotification<T>[] = [];
  let wake: (() => void) | null = null;
  const subscription = observable.pipe(materialize()).subscribe((notification) => {
    waiting.push(notification);
    wake?.();
  });
  try {
    for (;;) {
      const next = waiting.shift();
      if (next === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else if (next.kind === 'N') yield next.value;
      else if (next.kind === 'E') throw next.error;
      else return;
    }
  } finally {
    subscription.unsubscribe();
  }
}
