import {
  EMPTY,
  Subject,
  firstValueFrom,
  from,
  fromEvent,
  ignoreElements,
  lastValueFrom,
  merge,
  of,
  take,
  takeUntil,
  takeWhile,
  tap,
} from 'rxjs';
import type { Observable } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import { isItem } from '../../operators/flow.ts';
import type { Barrier, Element, Source } from '../../operators/flow.ts';
import type { CheckpointStore } from '../../operators/ports.ts';
import type { CheckpointReport, Report } from '../../operators/types.ts';
import type { SummaryEvent } from './events.ts';
import { isLast } from './hand-over.ts';
import type { HandOver, SafetyNet, Taken, Wanted } from './hand-over.ts';
import type { JobReports } from './job-reports.ts';
import type { OpenJob } from './open-job.ts';
import { openStream } from './open-stream.ts';
import type { Left } from './open-stream.ts';
import { reachedIn } from './restored-cut.ts';
import { runStream } from './run-stream.ts';
import type { OpenStream } from './run-stream.ts';
import { snapshotsIn, storeCut } from './store-cut.ts';
import type { TrainerSeat } from './trainer-seat.ts';
import { trainingStream } from '../spec/streams.ts';
import { untilQuiet } from './until-quiet.ts';
import type { Voice } from './voice.ts';

export type Reason = SummaryEvent['reason'];

export interface TrainingOptions {
  readonly job: OpenJob;
  readonly reports: JobReports;
  readonly voice: Voice;
  readonly seat: TrainerSeat;
  readonly maxSteps: number;
  readonly untilIdleMs: number;
  readonly stop: AbortSignal;
  /** The job is over anyway. */
  readonly over: Observable<void>;
}

/** A graph that has restored, and takes no step for so long, has nothing to train. */
const STEP_WITHIN_MS = 5000;

/** Somebody who waits for a savepoint. */
interface Asker {
  readonly resolve: (report: CheckpointReport) => void;
  readonly reject: (error: MillraceError) => void;
}

/**
 * Runs the training stream of a job to its end, and says why it ended. Meanwhile it makes savepoints, and hands over to
 * another graph at a cut: behind that cut the old graph does nothing any more, and the new one begins.
 */
export class Training {
  readonly #options: TrainingOptions;
  #job: OpenJob;
  #source: Source | null = null;
  readonly #flows = new Subject<true>();
  #ending: Reason | null = null;
  #askers: Asker[] = [];
  /** Of the stream that runs, or ran last: where its cuts go, and the job as they describe it. */
  #store: CheckpointStore | null = null;
  #described: { job: OpenJob };
  /** Asked for, and not at its cut yet. */
  #next: Wanted | null = null;
  /** Of the graph that runs, until it has arrived. */
  #taken: Taken | null = null;
  /** Of what was told last. */
  #pause: Promise<number> = Promise.resolve(0);
  #idle: NodeJS.Timeout | undefined;
  #net: SafetyNet | null = null;
  /** Why the graph that runs is to be gone back from. */
  #falling: { readonly cause: unknown } | null = null;
  readonly #fell = new Subject<void>();
  /** To be told when the graph that was gone back to runs. */
  #landed: () => void = () => {};
  /** What comes out of the stream that trains, in its order. */
  readonly elements: Subject<Element<Report>> = new Subject();

  constructor(options: TrainingOptions) {
    this.#options = options;
    this.#job = options.job;
    this.#described = { job: options.job };
  }

  async run(): Promise<Reason> {
    const { stop, over, untilIdleMs, reports } = this.#options;
    if (!trainingStream(this.#job.graph)) {
      await lastValueFrom(aborted(stop).pipe(takeUntil(over)), { defaultValue: null });
      return 'interrupted';
    }
    const quiet = untilQuiet(
      () => this.#source?.window ?? null,
      () => reports.heardAtMs,
      untilIdleMs,
    );
    const endings = merge(
      aborted(stop).pipe(tap(() => this.#endBecause('interrupted'))),
      quiet.pipe(tap(() => this.#endBecause('idle'))),
    ).subscribe();
    try {
      let barrier = await this.#runGraph(null);
      while (barrier && this.#ending === null) barrier = await this.#runGraph(await this.#handOverAt(barrier));
      if (barrier) await this.#stored(barrier);
      return this.#ending ?? 'max-steps';
    } finally {
      endings.unsubscribe();
      this.#flows.complete();
      this.#refuse('The job ended first. Start it again with millrace up, and ask again.');
    }
  }

  /** Resolves when what trains flows, or nothing does; with false when the job is over. */
  async whenFlowing(): Promise<boolean> {
    if (this.#source || !trainingStream(this.#job.graph)) return true;
    return firstValueFrom(this.#flows, { defaultValue: false });
  }

  /** Resolves when the savepoint is stored. */
  savepoint(): Promise<CheckpointReport> {
    const source = this.#flowing();
    return new Promise((resolve, reject) => {
      this.#askers.push({ resolve, reject });
      source.requestCut('savepoint');
    });
  }

  /** Asks for a cut that is the job's own, as its clock does; it comes among the elements. */
  requestCut(): void {
    this.#flowing().requestCut('timer');
  }

  /** From now on the graph that runs has something to go back to; no more with null. */
  guard(net: SafetyNet | null): void {
    this.#net = net;
  }

  /** Stops the graph that runs where it stands, and goes back. A job that is about to end does so another time. */
  fall(cause: unknown): void {
    if (this.#ending !== null || !this.#net) return;
    this.#falling = { cause };
    this.#fell.next();
  }

  /** One at a time; the callbacks of the hand-over say what becomes of it. */
  handOver(next: HandOver): void {
    const source = this.#flowing();
    const { seat } = this.#options;
    const decided = new Subject<Promise<void>>();
    const counts = firstValueFrom(decided).then((until) => until);
    // Who waits for it is told.
    counts.catch(() => undefined);
    const tell = (): Promise<void> => {
      this.#pause = seat.pause();
      return seat.tune(next.job.settings);
    };
    this.#next = { handOver: next, change: next.pace === 'told' ? { tell, counts } : undefined, decided };
    source.requestCut('deploy', this.#next.change);
  }

  /** Runs the job's graph to where another one takes its place, which is null when all is over. */
  async #runGraph(begin: Left | null): Promise<Barrier | null> {
    if (this.#falling) return this.#goOnBefore();
    const [name] = trainingStream(this.#job.graph) ?? [''];
    const { reports, seat, over } = this.#options;
    let left = begin;
    const running = runStream(
      () => {
        const now = left;
        left = null;
        return this.#open(now);
      },
      (error) => {
        this.#source = null;
        reports.restarted(name, error);
      },
    );
    // A graph that began before it counted ends where it never will.
    const failing = begin ? from(begin.counts).pipe(ignoreElements()) : EMPTY;
    const flow = merge(running.flow, failing).pipe(
      tap((element) => this.#see(element, name)),
      takeWhile((element) => !isLast(element), true),
      takeUntil(merge(over, this.#fell)),
    );
    let last: Element<Report> | null;
    try {
      last = await lastValueFrom(flow, { defaultValue: null });
    } catch (error) {
      const taken = this.#taken;
      if (!taken && !this.#net) throw error;
      this.#source = null;
      await running.closed();
      // Nobody has seen anything of the new graph: the old one goes on from the cut, or the one before.
      if (taken) await this.#goBack(taken, error);
      else this.#falling = { cause: error };
      return this.#runGraph(null);
    }
    this.#source = null;
    const barrier = last?.kind === 'barrier' && isLast(last) ? last : null;
    if (this.#falling && !barrier) {
      await running.closed();
      return this.#goOnBefore();
    }
    // Its trainer is still writing what is in the cut.
    if (barrier) seat.keep();
    await running.closed();
    return barrier;
  }

  /** Runs the graph before the one that is gone back from. */
  async #goOnBefore(): Promise<Barrier | null> {
    const [net, falling] = [this.#net, this.#falling];
    this.#net = null;
    this.#falling = null;
    if (!net) return null;
    this.#job = await net.goBack(falling?.cause);
    this.#landed = net.landed;
    this.#options.reports.deployed(this.#job);
    return this.#runGraph(null);
  }

  /** Opens the stream that trains under the job's graph, over what another one has left, or over the newest cut. */
  async #open(left: Left | null): Promise<OpenStream> {
    // A cut that is still being stored is the newest one. Without it, the graph that it was for is not begun again.
    if (!left) {
      await this.#taken?.counts.catch((cause: unknown) => {
        throw new Error('The cut that the graph was to begin from could not be stored.', { cause });
      });
    }
    const job = this.#job;
    const described = { job };
    const [name, steps] = trainingStream(job.graph) ?? ['', []];
    const stream = await openStream({ ...this.#options, job, name, steps, left, current: () => described.job });
    this.#store = stream.store;
    this.#described = described;
    return stream;
  }

  /** Stores the cut of a barrier, and says so. */
  async #stored(barrier: Barrier): Promise<CheckpointReport> {
    const [, steps = []] = trainingStream(this.#job.graph) ?? [];
    if (!this.#store) throw new MillraceError('job-busy', 'The stream that this cut is of does not run any more.');
    const report = await storeCut(barrier, this.#store);
    this.#options.reports.stored(report, reachedIn({ states: barrier.basket }, steps));
    return report;
  }

  /** Resolves with what the new graph goes on with, or null where none does, and the old one begins anew. */
  async #handOverAt(barrier: Barrier): Promise<Left | null> {
    const next = this.#next;
    this.#next = null;
    const stored = this.#stored(barrier);
    if (!next) {
      await stored;
      return null;
    }
    const { handOver } = next;
    handOver.atCut();
    const from = this.#job;
    const pause = this.#options.seat.pause();
    const counts = stored.then((report) => handOver.commit(report));
    if (handOver.pace === 'stored') {
      try {
        await counts;
      } catch (error) {
        await handOver.revert(error);
        return null;
      }
    }
    this.#take({ handOver, from, counts, pause });
    const states = handOver.pace === 'stored' ? snapshotsIn(await stored, barrier) : barrier.basket;
    return { states, version: from.adopted.version, counts };
  }

  /** A change has been told at its cut, and training goes on. */
  #toldAt(barrier: Barrier): void {
    const next = this.#next;
    this.#next = null;
    if (!next) return;
    const { handOver, decided } = next;
    handOver.atCut();
    const from = this.#job;
    const described = this.#described;
    const counts = this.#stored(barrier).then(async (report) => {
      await handOver.commit(report);
      this.#job = handOver.job;
      described.job = handOver.job;
      this.#options.reports.deployed(handOver.job);
    });
    this.#await({ handOver, from, counts, pause: this.#pause });
    this.#expectStep();
    // Where it comes to nothing, the stream ends by that.
    decided.next(counts);
  }

  /** From here on the graph is the job's, unless it fails before it has arrived. */
  #take(taken: Taken): void {
    this.#job = taken.handOver.job;
    this.#options.reports.deployed(this.#job);
    this.#await(taken);
  }

  #await(taken: Taken): void {
    this.#taken = taken;
    void taken.pause.then((pauseMs) => this.#arrive(taken, pauseMs));
  }

  async #goBack({ handOver, from, counts }: Taken, error: unknown): Promise<void> {
    this.#taken = null;
    clearTimeout(this.#idle);
    await counts.catch(() => undefined);
    await handOver.revert(error);
    this.#job = from;
    this.#options.reports.deployed(from);
  }

  #see(element: Element<Report>, name: string): void {
    const { reports } = this.#options;
    if (element.kind === 'restore') {
      this.#source = element.source;
      this.#flows.next(true);
      this.#expectStep();
      reports.flowing(name, element.source);
      if (this.#ending) this.#endBecause(this.#ending);
      if (this.#askers.length > 0) element.source.requestCut('savepoint');
      if (this.#next) element.source.requestCut('deploy', this.#next.change);
      this.#landed();
      this.#landed = () => {};
    }
    if (element.kind === 'barrier' && element.change) this.#toldAt(element);
    this.elements.next(element);
    if ((element.kind === 'tick' || element.kind === 'barrier') && element.counts) reports.counted(element.counts);
    if (!isItem(element)) return;
    reports.trained(element.value, element.source);
    if (element.value.event === 'checkpoint' && element.value.reason === 'savepoint') this.#answer(element.value);
  }

  /** The new graph has restored; where nothing waits to be trained, no step will tell that it runs. */
  #expectStep(): void {
    clearTimeout(this.#idle);
    const taken = this.#taken;
    if (taken) this.#idle = setTimeout(() => this.#arrive(taken, null), STEP_WITHIN_MS);
  }

  #arrive(taken: Taken, pauseMs: number | null): void {
    const arrived = (): void => {
      if (this.#taken !== taken) return;
      clearTimeout(this.#idle);
      this.#taken = null;
      taken.handOver.done(pauseMs);
    };
    // Where it never counts, that is told elsewhere.
    taken.counts.then(arrived, () => undefined);
  }

  #endBecause(reason: Reason): void {
    this.#ending ??= reason;
    this.#source?.requestCut(reason === 'interrupted' ? 'stop' : 'final');
  }

  #answer(report: CheckpointReport): void {
    const askers = this.#askers;
    this.#askers = [];
    for (const { resolve } of askers) resolve(report);
  }

  #refuse(message: string): void {
    const error = new MillraceError('job-busy', message);
    for (const { reject } of this.#askers) reject(error);
    this.#askers = [];
    (this.#next ?? this.#taken)?.handOver.abandon(error);
    this.#next = null;
    this.#taken = null;
    clearTimeout(this.#idle);
  }

  #flowing(): Source {
    const isBusy = this.#next !== null || this.#taken !== null || this.#ending !== null;
    if (this.#source && !isBusy) return this.#source;
    const why = isBusy ? 'is about to end, or to take another graph' : 'does not train yet';
    throw new MillraceError('job-busy', `The job ${why}. Ask again in a moment.`);
  }
}

/** Emits once when the signal is aborted, at once when it is already. */
function aborted(signal: AbortSignal): Observable<unknown> {
  return signal.aborted ? of(null) : fromEvent(signal, 'abort').pipe(take(1));
}
