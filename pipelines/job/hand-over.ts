import type { Subject } from 'rxjs';
import type { MillraceError } from '../../operators/errors.ts';
import { isItem } from '../../operators/flow.ts';
import type { Change, Element } from '../../operators/flow.ts';
import type { CheckpointReport, Report } from '../../operators/types.ts';
import type { OpenJob } from './open-job.ts';

/** What takes the place of the graph that trains, at one cut. */
export interface HandOver {
  readonly job: OpenJob;
  /**
   * How the new graph begins: not at all, since its trainer only has to be told something; at once, on what the old one has
   * in memory, and what it does is held back until it is the job's; or when that is so, from the cut that is stored.
   */
  readonly pace: 'told' | 'at-once' | 'stored';
  /** Called at the cut, when the old graph has done its last step and nothing of the new one was heard. */
  readonly atCut: () => void;
  /** Called when the cut is stored, and nothing that follows it can be seen; the new graph is the job's when it resolves. */
  readonly commit: (cut: CheckpointReport) => Promise<void>;
  /** Called when the new graph can't go on from the cut, before it has arrived; the old one does, when it resolves. */
  readonly revert: (error: unknown) => Promise<void>;
  /** Called when the new graph is the job's and has done a step; with null where it runs and there is nothing to train. */
  readonly done: (pauseMs: number | null) => void;
  /** Called when it will not come to that. */
  readonly abandon: (error: MillraceError) => void;
}

/** Where a graph that is watched goes back to, when it fails or is told to. */
export interface SafetyNet {
  /** Called when nothing of the graph runs any more; resolves with the job as it was before, which goes on. */
  readonly goBack: (cause: unknown) => Promise<OpenJob>;
  /** Called when that runs again. */
  readonly landed: () => void;
}

/** A hand-over at its cut. */
export interface Taken {
  readonly handOver: HandOver;
  readonly from: OpenJob;
  /** Settles when the new graph is the job's, or will not be. */
  readonly counts: Promise<void>;
  /** From the last step of the old graph to the first of the new one. */
  readonly pause: Promise<number>;
}

/** A hand-over that is asked for. */
export interface Wanted {
  readonly handOver: HandOver;
  readonly change: Change | undefined;
  /** Told when it is at its cut. */
  readonly decided: Subject<Promise<void>>;
}

/** Where a graph has nothing more to do: behind the job's last cut, or where another one goes on. */
export function isLast(element: Element<Report>): boolean {
  if (element.kind === 'barrier') return element.reason === 'deploy' && !element.change;
  if (!isItem(element) || element.value.event !== 'checkpoint') return false;
  return element.value.reason === 'final' || element.value.reason === 'stop';
}
