import { Subject, fromEvent, lastValueFrom, merge, of, take, takeUntil, takeWhile, tap } from 'rxjs';
import type { Observable } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import { isItem } from '../../operators/flow.ts';
import type { Element, Source } from '../../operators/flow.ts';
import type { CheckpointReport, Report } from '../../operators/types.ts';
import type { SummaryEvent } from './events.ts';
import type { JobReports } from './job-reports.ts';
import type { OpenJob } from './open-job.ts';
import { openStream } from './open-stream.ts';
import { runStream } from './run-stream.ts';
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

/** What takes the place of the graph that trains, at one cut. */
export interface HandOver {
  readonly job: OpenJob;
  /** Called when the cut is stored and nothing runs; the new graph is the job's when it resolves. */
  readonly commit: (cut: CheckpointReport) => Promise<void>;
  /** Called when the new graph can't go on from the cut, before its first step; the old one does, when it resolves. */
  readonly revert: (error: unknown) => Promise<void>;
  /** Called after the new graph's first step; with null where it runs and there is nothing to train. */
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
  #ending: Reason | null = null;
  #askers: Asker[] = [];
  /** Asked for, and not at its cut yet. */
  #next: HandOver | null = null;
  /** Of the graph that runs, until its first step. */
  #taken: { readonly handOver: HandOver; readonly from: OpenJob } | null = null;
  #steppedAtMs = performance.now();
  #net: SafetyNet | null = null;
  /** Why the graph that runs is to be gone back from. */
  #falling: { readonly cause: unknown } | null = null;
  readonly #fell = new Subject<void>();
  /** To be told when the graph that was gone back to runs. */
  #landed: () => void = () => {};
  #idle: NodeJS.Timeout | undefined;
  /** What comes out of the stream that trains, in its order. */
  readonly elements: Subject<Element<Report>> = new Subject();

  constructor(options: TrainingOptions) {
    this.#options = options;
    this.#job = options.job;
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
      let cut = await this.#runGraph();
      while (cut?.reason === 'deploy' && this.#ending === null) {
        await this.#handOverAt(cut);
        cut = await this.#runGraph();
      }
      return this.#ending ?? 'max-steps';
    } finally {
      endings.unsubscribe();
      this.#refuse('The job ended first. Start it again with millrace up, and ask again.');
    }
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

  /** One at a time; the callbacks of the hand-over say what becomes of it. */
  handOver(next: HandOver): void {
    const source = this.#flowing();
    this.#next = next;
    source.requestCut('deploy');
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

  /** Runs the job's graph to its last cut, which is null when all is over anyway. */
  async #runGraph(): Promise<CheckpointReport | null> {
    if (this.#falling) return this.#goOnBefore();
    const job = this.#job;
    const [name, steps] = trainingStream(job.graph) ?? ['', []];
    const { voice, reports, seat, maxSteps, over } = this.#options;
    const running = runStream(
      () => openStream({ job, name, steps, voice, reports, seat, maxSteps }),
      (error) => {
        this.#source = null;
        reports.restarted(name, error);
      },
    );
    const lastCut = new Subject<CheckpointReport>();
    let cut: CheckpointReport | null = null;
    lastCut.subscribe((report) => (cut = report));
    const flow = running.flow.pipe(
      tap((element) => this.#see(element, name)),
      takeWhile((element) => {
        const report = this.#lastCutIn(element);
        if (report) lastCut.next(report);
        return report === null;
      }),
      takeUntil(merge(over, this.#fell)),
    );
    try {
      await lastValueFrom(flow, { defaultValue: null });
    } catch (error) {
      this.#source = null;
      const taken = this.#taken;
      if (!taken && !this.#net) throw error;
      await running.closed();
      // The cut is stored, and the new graph has done nothing: the old one goes on from there.
      if (taken) await this.#goBack(taken, error);
      else this.#falling = { cause: error };
      return this.#runGraph();
    }
    this.#source = null;
    if (this.#falling) {
      await running.closed();
      return this.#goOnBefore();
    }
    if (this.#next && this.#ending === null) seat.keep();
    await running.closed();
    return cut;
  }

  /** Runs the graph before the one that is gone back from. */
  async #goOnBefore(): Promise<CheckpointReport | null> {
    const [net, falling] = [this.#net, this.#falling];
    this.#net = null;
    this.#falling = null;
    if (!net) return null;
    this.#job = await net.goBack(falling?.cause);
    this.#landed = net.landed;
    this.#options.reports.deployed(this.#job);
    return this.#runGraph();
  }

  async #handOverAt(cut: CheckpointReport): Promise<void> {
    const next = this.#next;
    this.#next = null;
    if (!next) return;
    const from = this.#job;
    try {
      await next.commit(cut);
      this.#job = next.job;
      this.#taken = { handOver: next, from };
      this.#options.reports.deployed(next.job);
    } catch (error) {
      await next.revert(error);
    }
  }

  async #goBack({ handOver, from }: { handOver: HandOver; from: OpenJob }, error: unknown): Promise<void> {
    this.#taken = null;
    clearTimeout(this.#idle);
    await handOver.revert(error);
    this.#job = from;
    this.#options.reports.deployed(from);
  }

  #see(element: Element<Report>, name: string): void {
    const { reports } = this.#options;
    if (element.kind === 'restore') {
      this.#source = element.source;
      this.#expectStep();
      reports.flowing(name, element.source);
      if (this.#ending) this.#endBecause(this.#ending);
      if (this.#askers.length > 0) element.source.requestCut('savepoint');
      if (this.#next) element.source.requestCut('deploy');
      this.#landed();
      this.#landed = () => {};
    }
    this.elements.next(element);
    if (!isItem(element)) return;
    reports.trained(element.value, element.source);
    if (element.value.event === 'step') this.#stepped();
    if (element.value.event === 'checkpoint' && element.value.reason === 'savepoint') this.#answer(element.value);
  }

  #stepped(): void {
    const pauseMs = performance.now() - this.#steppedAtMs;
    this.#steppedAtMs = performance.now();
    this.#arrive(pauseMs);
  }

  /** The new graph has restored; where nothing waits to be trained, no step will tell that it runs. */
  #expectStep(): void {
    clearTimeout(this.#idle);
    if (this.#taken) this.#idle = setTimeout(() => this.#arrive(null), STEP_WITHIN_MS);
  }

  #arrive(pauseMs: number | null): void {
    clearTimeout(this.#idle);
    const taken = this.#taken;
    this.#taken = null;
    taken?.handOver.done(pauseMs);
  }

  /** A savepoint that was only asked for is not the last. */
  #lastCutIn(element: Element<Report>): CheckpointReport | null {
    if (!isItem(element) || element.value.event !== 'checkpoint') return null;
    const { reason } = element.value;
    const isLast =
      reason === 'final' || reason === 'deploy' || (reason === 'savepoint' && this.#ending === 'interrupted');
    return isLast ? element.value : null;
  }

  #endBecause(reason: Reason): void {
    this.#ending ??= reason;
    this.#source?.requestCut(reason === 'interrupted' ? 'savepoint' : 'final');
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
    (this.#next ?? this.#taken?.handOver)?.abandon(error);
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
