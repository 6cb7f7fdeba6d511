import { Observable, merge, retry, tap, throwError, timer } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import type { ErrorCode } from '../../operators/errors.ts';
import { isItem } from '../../operators/flow.ts';
import type { Element, Flow } from '../../operators/flow.ts';
import type { Services } from '../../operators/kind.ts';
import type { CheckpointStore } from '../../operators/ports.ts';
import type { Report } from '../../operators/types.ts';
import type { Step } from '../spec/graph.ts';

/** A stream ready to be subscribed to, and what must be closed behind it. */
export interface OpenStream {
  readonly flow: Flow<Report>;
  readonly store: CheckpointStore;
  readonly close: () => Promise<void>;
}

export interface RunningStream {
  readonly flow: Flow<Report>;
  /** Resolves when what the last subscription opened has been closed. */
  closed(): Promise<void>;
}

/** Faults that building the stream anew from its last cut can mend. */
const MENDABLE: ReadonlySet<ErrorCode> = new Set(['process-died', 'group-fenced', 'replay-cut-short']);
const MOST_RETRIES = 5;
const FIRST_DELAY_MS = 500;

/** Composes a stream's operators over the topics that its first one reads. */
export function composeStream(steps: readonly Step[], services: Services): Flow<Report> {
  const source: Observable<unknown> = merge(...topicsRead(steps).map((topic) => services.log.topic(topic)));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const end = applySteps(source, steps, services) as Flow<Report>;
  return end.pipe(tap(giveBack));
}

/** Applies operators to a flow one after the other. */
export function applySteps(flow: Observable<unknown>, steps: readonly Step[], services: Services): Observable<unknown> {
  // Lint has checked that neighbours fit, which types can't show of operators that come from data.
  const apply = (before: Observable<unknown>, { uid, kind, config }: Step): Observable<unknown> =>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    kind.build(uid, config, services)(before as Observable<never>);
  return steps.reduce(apply, flow);
}

/** Topics that a stream reads. */
export function topicsRead([first]: readonly Step[]): readonly string[] {
  return first?.kind.topicsOf(first.config) ?? [];
}

/** What reaches the end of a stream is finished. */
function giveBack(element: Element<Report>): void {
  if (isItem(element)) element.source.window.give(element.bytes);
}

/**
 * Runs a stream, and builds it anew from its last cut when something died that a new one can replace: up to five times
 * in a row, waiting longer each time; a checkpoint in between makes the count begin anew. Other errors end it.
 */
export function runStream(open: () => Promise<OpenStream>, onRestart: (error: MillraceError) => void): RunningStream {
  let failures = 0;
  let closed: Promise<void> = Promise.resolve();
  // Opening takes time, and what was opened must be closed also when nobody waits for it any more.
  const opened = new Observable<Element<Report>>((subscriber) => {
    const opening = closed.then(open);
    opening.then(
      ({ flow }) => {
        if (!subscriber.closed) subscriber.add(flow.subscribe(subscriber));
      },
      (error: unknown) => subscriber.error(error),
    );
    return () => {
      closed = opening.then(
        ({ close }) => close(),
        () => undefined,
      );
    };
  });
  const flow = opened.pipe(
    retry({
      delay: (error: unknown) => {
        failures += 1;
        if (!isMendable(error) || failures > MOST_RETRIES) return throwError(() => error);
        onRestart(error);
        return timer(FIRST_DELAY_MS * 2 ** (failures - 1));
      },
    }),
    tap((element) => {
      if (isItem(element) && element.value.event === 'checkpoint') failures = 0;
    }),
  );
  return { flow, closed: () => closed };
}

function isMendable(error: unknown): error is MillraceError {
  return error instanceof MillraceError && MENDABLE.has(error.code);
}
