import { EMPTY, defer, finalize, interval, tap } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import type { Barrier, Element, Source } from './flow.ts';
import { isItem } from './flow.ts';
import { inOrder } from './in-order.ts';
import type { CheckpointStore } from './ports.ts';
import type { CheckpointReport } from './types.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { durationSchema, toMs } from './units.ts';
import type { Duration } from './units.ts';

export interface CheckpointOptions {
  /** Asks for a cut this often, when something has happened since the last one. */
  readonly every?: Duration;
  /** Asks for a cut after this many items. */
  readonly everyItems?: number;
  /** Periodic checkpoints that are kept; savepoints belong to the user and stay. */
  readonly keep?: number;
  /** Savepoints of stops that are kept. */
  readonly keepStops?: number;
}

/**
 * Commits every cut that arrives, and emits a report of it behind the items that the cut covers.
 *
 * Order: kept; a barrier is held until its checkpoint is safe on disk, and only then are the source's offsets reported. One
 * at which a graph is deployed passes: who deploys it stores the cut, so that nothing has to wait for the disk.
 * Items pass untouched. Errors: the store's end the flow. State: the time and the items since the last cut, not in cuts.
 *
 * @example
 * flow.pipe(checkpoint(store, { every: '60s', keep: 5 }))
 */
export function checkpoint<T>(
  store: CheckpointStore,
  options: CheckpointOptions = {},
): OperatorFunction<Element<T>, Element<T | CheckpointReport>> {
  return (flow) =>
    defer(() => {
      let source: Source | null = null;
      let itemsSinceCut = 0;

      const watch = (element: Element<T>): void => {
        source = element.source;
        if (element.kind === 'barrier') itemsSinceCut = 0;
        if (!isItem(element)) return;
        itemsSinceCut += 1;
        if (itemsSinceCut === options.everyItems) source.requestCut('steps');
      };
      const timer = (options.every === undefined ? EMPTY : interval(toMs(options.every))).subscribe(() => {
        if (itemsSinceCut > 0) source?.requestCut('timer');
      });
      return flow.pipe(
        tap(watch),
        inOrder<T, T | CheckpointReport>((element) =>
          element.kind === 'barrier' && element.reason !== 'deploy' ? commit(element, store, options) : [element],
        ),
        finalize(() => timer.unsubscribe()),
      );
    });
}

async function commit(
  barrier: Barrier,
  store: CheckpointStore,
  { keep = 5, keepStops = 2 }: CheckpointOptions,
): Promise<readonly Element<CheckpointReport>[]> {
  const { reason, basket, source } = barrier;
  const startedMs = performance.now();
  const { id, bytes, path } = await store.put({ reason, states: basket });
  await source.cutCommitted(barrier);
  // Only a stop adds to what stops have left.
  await store.prune(keep, ...(reason === 'stop' ? [keepStops] : []));
  const durationMs = performance.now() - startedMs;
  const report: CheckpointReport = { event: 'checkpoint', id, reason, bytes, durationMs, path };
  return [{ kind: 'item', value: report, bytes: 0, source }, barrier];
}

export const checkpointKind: OperatorKind = defineKind({
  kind: 'checkpoint',
  summary: 'Commits every cut to the checkpoint store, and asks for cuts by the clock or by count.',
  input: 'any',
  output: 'any',
  config: z.strictObject({
    every: durationSchema.default('60s').describe('Time between cuts.'),
    everyItems: z.int().positive().optional().describe('Steps (or other items) between cuts.'),
    keep: z.int().positive().default(5).describe('Periodic checkpoints that are kept; savepoints stay.'),
    keepStops: z.int().positive().default(2).describe('Savepoints of Ctrl-C that are kept; those asked for stay.'),
  }),
  build: (_uid, { everyItems, ...config }, { store }) =>
    checkpoint(store, { ...config, ...(everyItems === undefined ? {} : { everyItems }) }),
});
