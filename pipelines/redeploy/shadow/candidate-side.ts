import {
  Subject,
  filter,
  fromEvent,
  interval,
  lastValueFrom,
  merge,
  mergeMap,
  take,
  takeUntil,
  takeWhile,
  tap,
} from 'rxjs';
import type { Source } from '../../../operators/flow.ts';
import type { Snapshot } from '../../../operators/types.ts';
import type { Trainer } from '../../../operators/ports.ts';
import type { OpenJob } from '../../job/open-job.ts';
import { composeStream } from '../../job/run-stream.ts';
import type { Step } from '../../spec/graph.ts';
import { trainingStream } from '../../spec/streams.ts';
import { shadowServices } from './shadow-services.ts';
import { Stretch } from './stretch.ts';

export interface CandidateSideOptions {
  /** The job under the graph that is tried. */
  readonly job: OpenJob;
  readonly states: ReadonlyMap<string, Snapshot>;
  readonly trainer: Trainer;
  /** As much text as the running graph has trained. */
  readonly bytes: number;
  readonly onStep: (step: number) => void;
  readonly signal: AbortSignal;
}

const LOOK_EVERY_MS = 50;

/**
 * Trains the candidate from a cut until it has seen as much text as the running graph, or all that the ledger has. Rejects
 * with whatever keeps it from that.
 */
export async function runCandidate(options: CandidateSideOptions): Promise<Stretch> {
  const { job, states, trainer, bytes, onStep, signal } = options;
  const [stream = '', steps = []] = trainingStream(job.graph) ?? [];
  const stretch = new Stretch();
  const exhausted = new Subject<void>();
  let source: Source | null = null;
  const over = new AbortController();
  // The source waits where it would have to decide something; when all is over it has to hear that, to close its reader.
  const decision = new Promise<never>((_resolve, reject) => {
    over.signal.addEventListener('abort', () => reject(new Error('The shadow is over.')));
  });
  decision.catch(() => undefined);
  const services = shadowServices({
    job,
    stream,
    trainer,
    restore: { states },
    deadLetters: { put: async ({ at }) => stretch.deadLetter(at) },
    onExhausted() {
      exhausted.next();
      return decision;
    },
  });
  const drained = exhausted.pipe(
    take(1),
    mergeMap(() => interval(LOOK_EVERY_MS)),
    filter(() => source?.window.workBytes === 0),
  );
  const flow = composeStream(upToTraining(steps), services).pipe(
    tap((element) => {
      ({ source } = element);
      const before = stretch.steps;
      stretch.take(element);
      if (stretch.steps > before) onStep(stretch.steps);
    }),
    takeWhile(() => stretch.bytes < bytes),
    takeUntil(merge(drained, fromEvent(signal, 'abort'))),
  );
  try {
    await lastValueFrom(flow, { defaultValue: null });
    signal.throwIfAborted();
    return stretch;
  } finally {
    over.abort();
  }
}

/** What stands behind the training only tells of it. */
function upToTraining(steps: readonly Step[]): readonly Step[] {
  return steps.slice(0, steps.findIndex(({ kind }) => kind.kind === 'trainStep') + 1);
}
