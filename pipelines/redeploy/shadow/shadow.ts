import { rm } from 'node:fs/promises';
import type { Observable } from 'rxjs';
import { startTrainer } from '../../../infra/index.ts';
import type { TrainerProcess } from '../../../infra/index.ts';
import type { Element } from '../../../operators/flow.ts';
import type { Logger } from '../../../operators/ports.ts';
import type { Coordinates, Json, Report } from '../../../operators/types.ts';
import { shapeOf, warmUp } from '../../job/batch-shape.ts';
import type { OpenJob } from '../../job/open-job.ts';
import type { Bars } from '../../spec/deploy.ts';
import { trainingStream } from '../../spec/streams.ts';
import { NO_VITALS } from '../watch/vital-signs.ts';
import type { Vitals } from '../watch/vital-signs.ts';
import { runCandidate } from './candidate-side.ts';
import { compare } from './comparison.ts';
import type { Comparison } from './comparison.ts';
import { holdCut } from './held-cut.ts';
import type { HeldCut } from './held-cut.ts';
import { RunningSide } from './running-side.ts';
import { Stretch } from './stretch.ts';

export interface ShadowOptions {
  /** The job that runs. */
  readonly job: OpenJob;
  /** The same job under the graph that is tried. */
  readonly candidate: OpenJob;
  /** Uids whose state the candidate does without. */
  readonly discard: readonly string[];
  /** Of the running graph. */
  readonly steps: number;
  readonly bars: Bars;
  /** What the stream that trains reports. */
  readonly elements: Observable<Element<Report>>;
  /** Its dead letters. */
  readonly letters: Observable<Coordinates>;
  /** Asks the running graph for a cut. */
  readonly requestCut: () => void;
  readonly logger: Logger;
  readonly tell: (progress: Json) => void;
  /** Nobody wants to know any more. */
  readonly signal: AbortSignal;
}

/**
 * Lets a graph train beside the running one: from a cut of that, on the same records in the same order, as the ledger has
 * them, up to where the running graph has come after so many steps. The candidate is the stream up to `trainStep`, with a
 * trainer process of its own; it publishes nothing, and writes to no ledger, no log and no checkpoint. The running graph is
 * asked for one cut, which changes none of its bits.
 *
 * A candidate that fails is worse. Rejects with `job-busy` when the running stream was started again meanwhile, and with the
 * signal's reason when nobody waits any more.
 */
export async function runShadow(options: ShadowOptions): Promise<Comparison> {
  const { job, candidate, bars, tell, signal } = options;
  const onStep = (part: string) => (step: number) => tell({ phase: 'shadow', part, step, of: options.steps });
  const running = new RunningSide({ ...options, onStep: onStep('running') });
  const directory = `${job.folder.staging}-shadow`;
  let held: HeldCut | null = null;
  let trainer: TrainerProcess | null = null;
  try {
    options.requestCut();
    const cut = await running.cut;
    onStep('running')(0);
    held = await holdCut(cut.path, `${directory}-cut`, trainingStream(job.graph)?.[1] ?? []);
    let failure: string | null = null;
    let candidateDid: Vitals = NO_VITALS;
    try {
      trainer = await startTrainer({ settings: candidate.settings, stagingDir: directory, logger: options.logger });
      await warmUp(trainer, [shapeOf(job.graph), shapeOf(candidate.graph)]);
      await running.done;
      running.meanwhile = new Stretch();
      const states = new Map([...held.states].filter(([uid]) => !options.discard.includes(uid)));
      const { bytes } = running.stretch;
      const did = await runCandidate({ job: candidate, states, trainer, bytes, onStep: onStep('candidate'), signal });
      candidateDid = did.vitals(held.positions);
    } catch (error) {
      // What has befallen the running side is nobody's comparison.
      running.throwIfFailed();
      failure = `it failed: ${error instanceof Error ? error.message : String(error)}`;
    }
    return compare(bars, atTheSameTime(running, held), candidateDid, failure);
  } finally {
    running.close();
    await Promise.allSettled([trainer?.close(), held?.release()]);
    await rm(directory, { recursive: true, force: true });
  }
}

/** Both share the machine while the candidate trains: its speed is compared with that of the running graph then. */
function atTheSameTime({ stretch, meanwhile }: RunningSide, { positions }: HeldCut): Vitals {
  const did = stretch.vitals(positions);
  const { busyTokens, busyMs } = meanwhile.vitals(positions);
  return busyMs > 0 ? { ...did, busyTokens, busyMs } : did;
}
