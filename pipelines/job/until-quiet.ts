import { filter, interval, map, scan, take } from 'rxjs';
import type { Observable } from 'rxjs';
import type { Window } from '../../operators/index.ts';

const LOOK_EVERY_MS = 100;

/** Emits once when nothing has been in a stream's window, and nothing has come into it, for as long as `quietMs`. */
export function untilQuiet(windowOf: () => Window | null, quietMs: number): Observable<void> {
  return interval(LOOK_EVERY_MS).pipe(
    map(() => windowOf()),
    scan(
      (last, window) => {
        const taken = window?.takenBytes ?? -1;
        const busy = !window || window.inFlightBytes > 0 || taken !== last.taken;
        return { taken, sinceMs: busy ? performance.now() : last.sinceMs };
      },
      { taken: -1, sinceMs: Infinity },
    ),
    filter(({ sinceMs }) => performance.now() - sinceMs >= quietMs),
    map(() => undefined),
    take(1),
  );
}
