import type { Json } from '../../../operators/types.ts';
import type { Beside } from '../../job/beside.ts';
import type { JobEvent } from '../../job/events.ts';
import type { OpenJob } from '../../job/open-job.ts';
import type { Training } from '../../job/training.ts';
import { trainingStream } from '../../spec/streams.ts';
import { goBack } from '../go-back.ts';
import { graphVersion, writeVersion } from '../graph-history.ts';
import type { GraphVersion } from '../graph-history.ts';
import type { VitalSigns } from './vital-signs.ts';
import { Watch } from './watch.ts';
import type { WatchEnd, WatchState } from './watch.ts';

export interface StabilityOptions {
  readonly training: Training;
  readonly beside: Beside;
  readonly signs: VitalSigns;
  readonly onEvent: (event: JobEvent) => void;
  readonly onWarning: (message: string) => void;
  /** Told when a watch is over, and the history says how. */
  readonly onEnd: () => void;
}

/** A graph under watch. */
interface Watched {
  readonly job: OpenJob;
  readonly version: GraphVersion;
  readonly watch: Watch;
  /** Streams beside the training that have failed meanwhile. */
  readonly failed: Set<string>;
  /** Settles when the deployment is through with the streams beside the training. */
  readonly settled: Promise<unknown>;
  /** Told of the job that it was before, when it is that again. */
  readonly onGoneBack: (job: OpenJob) => void;
}

/**
 * Watches a graph after its deployment, and lets the job go back to the graph before, at the cut between the two, when the
 * new one does worse than its bars allow, or fails. One at a time. What it knows is in the history of graphs, so that
 * whoever starts the job again goes on with the watch.
 */
export class Stability {
  readonly #options: StabilityOptions;
  #watched: Watched | null = null;

  constructor(options: StabilityOptions) {
    this.#options = options;
  }

  /** The version that is watched; null where none is. */
  get version(): GraphVersion | null {
    return this.#watched?.version ?? null;
  }

  /** Takes down how the graph before does, at the cut at which the next one takes its place. */
  atCut(state: WatchState): WatchState {
    const { signs } = this.#options;
    const before = signs.newest;
    signs.begin();
    return { ...state, before };
  }

  /** Begins to watch, or goes on with it. */
  begin(about: Pick<Watched, 'job' | 'version' | 'settled' | 'onGoneBack'>): void {
    const { training, signs, onEvent } = this.#options;
    const { job, version } = about;
    const state = version.watch;
    if (!state) return;
    const save = (newest: WatchState): Promise<void> =>
      writeVersion(job.folder, { ...version, outcome: 'watching', watch: newest });
    const watch = new Watch({
      state,
      signs,
      save,
      onStood: (end) => this.#stood(end),
      onWorse: (verdict) => training.fall(verdict),
      onFault: (error) => this.#options.onWarning(`Version ${version.version} can't be watched: ${String(error)}`),
    });
    this.#watched = { ...about, watch, failed: new Set() };
    let end: WatchEnd = { outcome: 'rolled-back', note: '' };
    training.guard({
      goBack: async (cause) => {
        const { job: before, note } = await this.#goBack(cause);
        end = { outcome: 'rolled-back', note };
        return before;
      },
      landed: () => watch.end(end),
    });
    onEvent({
      ...this.#event('watching'),
      watchMs: Math.max(0, state.windowMs - state.watchedMs),
    });
    if (state.verdict !== null) training.fall(state.verdict);
  }

  /** Goes on with the watch of the job's graph, where it was not over when the process ended. */
  async resume(job: OpenJob, onGoneBack: (job: OpenJob) => void): Promise<void> {
    const version = await graphVersion(job.folder, job.adopted.version);
    if (version.outcome === 'watching') this.begin({ job, version, settled: Promise.resolve(), onGoneBack });
  }

  /** Tells how the watch of a version goes, and resolves when it is over. */
  async follow(job: OpenJob, version: number, tell: (progress: Json) => void): Promise<WatchEnd> {
    const watched = this.#watched;
    if (watched?.version.version === version) return watched.watch.follow(tell);
    const { outcome, note } = await graphVersion(job.folder, version);
    return { outcome: outcome === 'rolled-back' ? 'rolled-back' : 'live', note: note ?? '' };
  }

  /** Goes back at once, because somebody wants it. */
  async giveUp(reason: string): Promise<void> {
    const watched = this.#watched;
    if (!watched) return;
    const end = watched.watch.follow(() => {});
    await watched.watch.condemn(reason);
    await end;
  }

  /** A stream beside the training can't go on. True where that is mended by going back. */
  rescue(stream: string, error: unknown): boolean {
    if (!this.#watched) return false;
    this.#watched.failed.add(stream);
    const { watch } = this.#watched;
    const fault = (cause: unknown): void => this.#options.onWarning(String(cause));
    watch.condemn(`stream ${stream} failed: ${messageOf(error)}`).catch(fault);
    return true;
  }

  /** The job ends; whoever starts it again goes on with the watch. */
  async stop(): Promise<void> {
    await this.#watched?.watch.stop();
  }

  async #stood(watch: WatchState): Promise<void> {
    const watched = this.#watched;
    if (!watched) return;
    const { job, version } = watched;
    const note = `Stood the watch over ${watch.now.steps} steps.`;
    await writeVersion(job.folder, { ...version, outcome: 'live', watch, note });
    this.#options.training.guard(null);
    this.#options.onEvent(this.#event('stable'));
    this.#watched = null;
    this.#options.onEnd();
    watched.watch.end({ outcome: 'live', note });
  }

  async #goBack(cause: unknown): Promise<{ readonly job: OpenJob; readonly note: string }> {
    const watched = this.#watched;
    if (!watched) throw cause;
    const { beside, onEvent, onWarning } = this.#options;
    const { watch, settled, failed } = watched;
    const failure = `it failed: ${messageOf(cause)}`;
    await watch.condemn(failure);
    await settled;
    const { from: to, verdict } = watch.state;
    const reason = verdict ?? failure;
    const { job, rebuilt, cut } = await goBack({ job: watched.job, to, reason, onWarning });
    const others = [...new Set([...rebuilt, ...failed])];
    beside.tell(job, others);
    await beside.end(others);
    beside.start(job, others);
    watched.onGoneBack(job);
    onEvent({ ...this.#event('rolled-back'), reason });
    this.#watched = null;
    this.#options.onEnd();
    return { job, note: `${reason}; back at cut ${cut}` };
  }

  #event(outcome: 'watching' | 'stable' | 'rolled-back'): Extract<JobEvent, { event: 'deployment' }> {
    const { job, version } = this.#watched ?? {};
    const [stream = ''] = (job && trainingStream(job.graph)) ?? [];
    return { event: 'deployment', stream, outcome, ...(version ? { version: version.version } : {}) };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
