import { defer, switchMap, timer } from 'rxjs';
import type { Observable } from 'rxjs';
import type { Clock } from './ports.ts';

/** Timers of Node count in 31 bits; what is due later is looked at again then. */
const LONGEST_MS = 2 ** 30;

/** Emits once a point in time is reached, in milliseconds since the epoch, and never before it returns; then completes. */
export function dueAt(atMs: number, clock: Clock): Observable<unknown> {
  return defer(() => {
    const leftMs = atMs - clock.nowMs();
    if (leftMs <= LONGEST_MS) return timer(Math.max(0, leftMs));
    return timer(LONGEST_MS).pipe(switchMap(() => dueAt(atMs, clock)));
  });
}
