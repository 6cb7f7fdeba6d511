import { filter, interval, map, scan, take } from 'rxjs';
import type { Observable } from 'rxjs';
import type { Window } from '../../operators/index.ts';

const LOOK_EVERY_MS = 100;
/** The log is asked for something every second. */
const SILENT_MS = 1500;

/**
 * Emits once when nothing has been in a stream's window, and nothing has come into it, for as long as `quietMs`; what is only
 * trained to use the time does not count. That the
 * log has answered all the while, as `heardAtMs` says, is needed too: one that is away only seems quiet.
 */
export function untilQuiet(windowOf: () => Window | null, heardAtMs: () => number, quietMs: number): Observable<void> {
  return interval(LOOK_EVERY_MS).pipe(
    map(() => windowOf()),
    scan(
      (last, window) => {
        const taken = window?.takenBytes ?? -1;
        const isSilent = performance.now() - heardAtMs() > SILENT_MS;
        const busy = !window || isSilent || window.workBytes > 0 || taken !== last.taken;
        return { taken, sinceMs: busy ? performance.now() : last.sinceMs };
      },
      { taken: -1, sinceMs: Infinity },
    ),
    filter(({ sinceMs }) => Math.min(performance.now(), heardAtMs()) - sinceMs >= quietMs),
    map(() => undefined),
    take(1),
  );
}
