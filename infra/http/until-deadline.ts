import { defer, map, merge, takeWhile, tap } from 'rxjs';
import type { MonoTypeOperatorFunction } from 'rxjs';
import { dueAt } from '../../operators/due-at.ts';
import { noWeights } from '../../operators/numbered-answer.ts';
import type { SampleDelta } from '../../operators/ports.ts';

/** Ends an answer when so much time has gone since it was asked for, with a last delta that says so. */
export function untilDeadline(ms: number | null): MonoTypeOperatorFunction<SampleDelta> {
  return (deltas) =>
    defer(() => {
      if (ms === null) return deltas;
      let weights = noWeights;
      const over = dueAt(Date.now() + ms, { nowMs: () => Date.now() }).pipe(
        map((): SampleDelta => ({ tokens: new Int32Array(), weights, finish: 'deadline' })),
      );
      const heard = deltas.pipe(tap((delta) => (weights = delta.weights)));
      return merge(heard, over).pipe(takeWhile(({ finish }) => finish === null, true));
    });
}
