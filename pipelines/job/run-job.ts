import {
  Subject,
  firstValueFrom,
  fromEvent,
  lastValueFrom,
  merge,
  of,
  race,
  take,
  takeUntil,
  takeWhile,
  tap,
  timer,
} from 'rxjs';
import type { Observable } from 'rxjs';
import { isItem } from '../../operators/flow.ts';
import type { Element, Source } from '../../operators/flow.ts';
import type { Report } from '../../operators/types.ts';
import type { JobEvent, SummaryEvent } from './events.ts';
import { JobReports } from './job-reports.ts';
import type { OpenJob } from './open-job.ts';
import { openStream } from './open-stream.ts';
import { serveHttp } from './serve-http.ts';
import type { HttpPlace } from './serve-http.ts';
import { runStream } from './run-stream.ts';
import type { Step } from '../spec/graph.ts';
import { has, trainingStream } from '../spec/streams.ts';
import { untilQuiet } from './until-quiet.ts';
import { Voice } from './voice.ts';

export interface RunJobOptions {
  readonly job: OpenJob;
  /** Ends the job once it has done so many steps in all. */
  readonly maxSteps: number;
  /** Ends the job once everything is trained and nothing has arrived for this long. */
  readonly untilIdleMs: number;
  readonly onEvent: (event: JobEvent) => void;
  readonly onWarning: (message: string) => void;
  /** Where the model may be asked over HTTP; nowhere when absent. */
  readonly http?: HttpPlace | undefined;
  /** Aborted when the job is to make a savepoint and end. */
  readonly stop: AbortSignal;
}

type Reason = SummaryEvent['reason'];

/** How long the streams beside the training may take for their last cut. */
const FAREWELL_MS = 3000;

/**
 * Runs all streams of a job until it is stopped, idle or done; then makes a last cut and resolves with the summary.
 * Rejects with the first fault that building a stream anew does not mend.
 */
export async function runJob(options: RunJobOptions): Promise<SummaryEvent> {
  const { job, onEvent, onWarning } = options;
  const voice = new Voice(job, onWarning);
  const reports = new JobReports({ job, voice, onEvent, onWarning });
  try {
    const http = options.http && (await serveHttp(job, voice, options.http, reports.logger));
    if (http) onEvent({ event: 'listening', url: http.url, model: http.model });
    try {
      return await runStreams(options, reports, voice);
    } finally {
      await http?.close();
    }
  } finally {
    reports.close();
    voice.close();
  }
}

async function runStreams(options: RunJobOptions, reports: JobReports, voice: Voice): Promise<SummaryEvent> {
  const beside = Object.entries(options.job.graph.streams)
    .filter(([, steps]) => !has(steps, 'trainStep'))
    .map(([name, steps]) => runBeside(options, reports, voice, name, steps));
  const over = new Subject<void>();
  const training = train(options, reports, voice, over);
  try {
    const reason = await Promise.race([training, ...beside.map(({ failed }) => failed)]);
    await Promise.all(beside.map(({ farewell }) => farewell()));
    return await reports.summary(reason);
  } finally {
    // Also after a fault of one of them, the others still use the log, which is closed next.
    over.next();
    await Promise.allSettled([training, ...beside.map(({ close }) => close())]);
  }
}

/** Runs the training stream to its end, and says why it ended; or until all is over anyway. */
async function train(
  { job, stop, ...options }: RunJobOptions,
  reports: JobReports,
  voice: Voice,
  over: Observable<void>,
): Promise<Reason> {
  const training = trainingStream(job.graph);
  if (!training) {
    await lastValueFrom(aborted(stop).pipe(takeUntil(over)), { defaultValue: null });
    return 'interrupted';
  }
  const [name, steps] = training;
  let source: Source | null = null;
  let ending: Reason | null = null;
  const endBecause = (reason: Reason): void => {
    ending ??= reason;
    source?.requestCut(reason === 'interrupted' ? 'savepoint' : 'final');
  };
  const running = runStream(
    () => openStream({ job, name, steps, voice, reports, maxSteps: options.maxSteps }),
    (error) => {
      source = null;
      reports.restarted(name, error);
    },
  );
  const endings = merge(
    aborted(stop).pipe(tap(() => endBecause('interrupted'))),
    untilQuiet(
      () => source?.window ?? null,
      () => reports.heardAtMs,
      options.untilIdleMs,
    ).pipe(tap(() => endBecause('idle'))),
  ).subscribe();
  const flow = running.flow.pipe(
    tap((element) => {
      if (element.kind === 'restore') {
        source = element.source;
        reports.flowing(name, element.source);
        if (ending) endBecause(ending);
      }
      if (isItem(element)) reports.trained(element.value, element.source);
    }),
    takeWhile((element) => !isLastCut(element), true),
    takeUntil(over),
  );
  await lastValueFrom(flow, { defaultValue: null }).finally(() => endings.unsubscribe());
  await running.closed();
  return ending ?? 'max-steps';
}

function isLastCut(element: Element<Report>): boolean {
  if (!isItem(element) || element.value.event !== 'checkpoint') return false;
  return element.value.reason === 'savepoint' || element.value.reason === 'final';
}

interface Beside {
  /** Rejects when the stream can't go on; never resolves. */
  readonly failed: Promise<never>;
  /** Makes a last cut, if that is quickly done. */
  readonly farewell: () => Promise<void>;
  /** Stops the stream, and ends what it has started. */
  readonly close: () => Promise<void>;
}

/** Runs a stream that does not train until it is closed. */
function runBeside(
  { job, maxSteps }: RunJobOptions,
  reports: JobReports,
  voice: Voice,
  name: string,
  steps: readonly Step[],
): Beside {
  let source: Source | null = null;
  const running = runStream(
    () => openStream({ job, name, steps, voice, reports, maxSteps }),
    (error) => {
      source = null;
      reports.restarted(name, error);
    },
  );
  const cuts = new Subject<void>();
  const failures = new Subject<never>();
  const subscription = running.flow.subscribe({
    next: (element) => {
      source = element.source;
      if (element.kind === 'restore') voice.listening();
      if (!isItem(element)) return;
      reports.spoken(element.value);
      if (isLastCut(element)) cuts.next();
    },
    error: (error: unknown) => failures.error(error),
  });
  return {
    failed: firstValueFrom(failures),
    async farewell() {
      const lastCut = firstValueFrom(race(cuts, timer(FAREWELL_MS)));
      source?.requestCut('final');
      if (source) await lastCut;
    },
    async close() {
      subscription.unsubscribe();
      await running.closed();
    },
  };
}

/** Emits once when the signal is aborted, at once when it is already. */
function aborted(signal: AbortSignal): Observable<unknown> {
  return signal.aborted ? of(null) : fromEvent(signal, 'abort').pipe(take(1));
}
