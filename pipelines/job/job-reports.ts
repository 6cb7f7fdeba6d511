import { isDeepStrictEqual } from 'node:util';
import { EMPTY, Subject, Subscription, catchError, exhaustMap, from, interval } from 'rxjs';
import { countParameters } from '../../model/config.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Source } from '../../operators/flow.ts';
import type { Checkpoint, Counts, DeadLetters, Logger, WeightsVersion } from '../../operators/index.ts';
import { freshnessOf } from '../../operators/numbered-answer.ts';
import type { CheckpointReport, Coordinates, Report } from '../../operators/types.ts';
import type { JobEvent, ListeningEvent, SummaryEvent } from './events.ts';
import type { OpenJob } from './open-job.ts';
import { trainingStream } from '../spec/streams.ts';
import { VitalSigns } from '../redeploy/watch/vital-signs.ts';
import { Progress } from './progress.ts';
import type { Reached } from './restored-cut.ts';
import { spokenWeights } from './spoken-weights.ts';
import type { RefusedWeights, Voice } from './voice.ts';

export interface JobReportsOptions {
  readonly job: OpenJob;
  readonly voice: Voice;
  readonly onEvent: (event: JobEvent) => void;
  readonly onWarning: (message: string) => void;
}

const LAG_EVERY_MS = 1000;

/** Makes events of what the streams report, and hands new weights to the voice. */
export class JobReports {
  readonly logger: Logger;
  /** The job's dead letters, each of which is an event too. */
  readonly deadLetters: DeadLetters;
  readonly #options: JobReportsOptions;
  #job: OpenJob;
  readonly #progress: Progress;
  readonly #startedMs = performance.now();
  /** Where the records stand that became dead letters. */
  readonly letters: Subject<Coordinates> = new Subject();
  /** Cuts of the training stream that are stored, and the job under the graph that it has then. */
  readonly cuts: Subject<{ readonly job: OpenJob; readonly path: string }> = new Subject();
  /** How the stream that trains does. */
  readonly signs: VitalSigns = new VitalSigns();
  readonly #listening = new Subscription();
  /** The newest weights that have been heard. */
  #spokenId = '';
  #checkpoint: string | null = null;
  #hasCut = false;
  #isReady = false;
  #served: ListeningEvent | null = null;
  #source: Source | null = null;
  #counts: Counts | null = null;
  #heardAtMs = performance.now();
  /** Takes new weights: who speaks with them, or who decides about that. */
  #taker: Pick<Voice, 'offer'>;

  constructor(options: JobReportsOptions) {
    const { job, onEvent, onWarning } = options;
    this.#options = options;
    this.#job = job;
    this.#taker = options.voice;
    this.#progress = new Progress(job.log);
    this.logger = { info: () => {}, warn: onWarning };
    this.deadLetters = {
      put: async (letter) => {
        await job.deadLetters.put(letter);
        if (this.#job.trainedTopics.includes(letter.at.topic)) this.signs.deadLetter();
        this.letters.next(letter.at);
        onEvent({ event: 'deadletter', ...letter.at, code: letter.code, message: letter.message });
      },
    };
    const lag = interval(LAG_EVERY_MS)
      // A log that fails here fails the streams too, and they say so better.
      .pipe(exhaustMap(() => from(this.#refreshLag()).pipe(catchError(() => EMPTY))))
      .subscribe(() => (this.#heardAtMs = performance.now()));
    this.#listening.add(lag);
    this.#listening.add(options.voice.refused.subscribe((refused) => this.#refused(refused)));
    this.#listening.add(options.voice.spoke.subscribe((weights) => this.#heard(weights)));
  }

  /** When the log was last known to answer, by `performance.now()`. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** From now on new weights are offered there, and not to the voice. */
  offerTo(taker: Pick<Voice, 'offer'>): void {
    this.#taker = taker;
  }

  /** The model may be asked over HTTP, which is told as soon as the job is ready; at once where none trains. */
  served({ url, model }: Omit<ListeningEvent, 'event'>): void {
    this.#served = { event: 'listening', url, model };
    if (!trainingStream(this.#job.graph)) this.#options.onEvent(this.#served);
  }

  /** The training stream is about to go on from a cut, or to begin without one. */
  restored(checkpoint: Checkpoint | null, reached: Reached | null): void {
    this.#progress.goOnFrom(reached);
    this.signs.interrupted();
    this.#hasCut = checkpoint !== null;
    if (checkpoint) this.#speakWith(checkpoint, reached);
  }

  /** The training stream of another graph goes on where this one is. */
  handedOver(reached: Reached | null): void {
    this.#progress.goOnFrom(reached);
    this.signs.interrupted();
    this.#hasCut = true;
  }

  /** The training stream flows: for the first time, or again after a fault. */
  flowing(stream: string, source: Source): void {
    this.#source = source;
    this.signs.flows(() => source.window.inFlightBytes > 0);
    const { onEvent } = this.#options;
    const job = this.#job;
    if (!this.#isReady) {
      const { graph, folder, settings, dataDir } = job;
      const parameters = countParameters(settings.model);
      const { preset } = graph.model;
      const { engine = { mode: 'eager' } } = settings;
      const what = { graph: graph.name, preset, parameters, dataDir, engine };
      onEvent({ event: 'ready', job: folder.id, ...what, step: this.#step });
      if (this.#served) onEvent(this.#served);
    }
    this.#isReady = true;
    onEvent({ event: 'deployment', stream, outcome: 'started' });
  }

  /** Another graph is the job's from here on. */
  deployed(job: OpenJob): void {
    this.#job = job;
    this.signs.begin();
  }

  restarted(stream: string, { message }: MillraceError): void {
    if (stream === trainingStream(this.#job.graph)?.[0]) {
      this.#source = null;
      this.signs.restarted();
    }
    this.#options.onEvent({ event: 'deployment', stream, outcome: 'restarted', reason: message });
  }

  /** Operators of the training stream have counted so much by now. */
  counted(counts: Counts): void {
    if (isDeepStrictEqual(counts, this.#counts)) return;
    this.#counts = counts;
    this.#options.onEvent({ event: 'counts', counts });
  }

  /** A report of the training stream. */
  trained(report: Report, source: Source): void {
    if (report.event === 'step') {
      this.signs.step(report, source.window.inFlightBytes > 0);
      this.#options.onEvent(this.#progress.step(report));
      // So that there is something to come back to, and to speak with, from the beginning.
      if (!this.#hasCut) source.requestCut('timer');
      this.#hasCut = true;
    }
    if (report.event === 'checkpoint') this.stored(report, this.#progress.reached);
  }

  /** A cut of the training stream is stored, which was so far. */
  stored(report: CheckpointReport, reached: Reached | null): void {
    this.#checkpoint = report.id;
    this.cuts.next({ job: this.#job, path: report.path });
    this.#options.onEvent({ ...report, step: reached?.step ?? 0 });
    this.#speakWith(report, reached);
  }

  /** A report of a stream beside the training. */
  spoken(report: Report): void {
    if (report.event !== 'generation') return;
    this.#heard(report.weights);
    const answer = this.#options.voice.answered(report);
    if (answer) this.#options.onEvent(answer);
  }

  async summary(reason: SummaryEvent['reason']): Promise<SummaryEvent> {
    // A log that can't say it any more is no reason to be silent about the rest.
    await this.#refreshLag().catch(() => {});
    const { steps, tokens } = this.#progress.run;
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const { totals } = this.#progress.reached;
    return {
      event: 'summary',
      reason,
      step: this.#step,
      steps,
      tokens,
      seconds,
      tokensPerSecond: tokens / seconds,
      bitsPerByteTotal: totals.bytes > 0 ? totals.bits / totals.bytes : null,
      bytesTotal: totals.bytes,
      ...this.#progress.sources,
      checkpoint: this.#checkpoint,
      lag: this.#progress.lag,
      partitions: this.#progress.lags,
      counts: this.#counts,
    };
  }

  close(): void {
    this.#listening.unsubscribe();
  }

  async #refreshLag(): Promise<void> {
    if (!this.#source) return;
    const isNews = await this.#progress.refreshLag(this.#source.reads());
    this.signs.lagging(this.#progress.lag);
    if (!isNews) return;
    this.#options.onEvent({ event: 'lag', lag: this.#progress.lag, partitions: this.#progress.lags });
  }

  get #step(): number {
    return this.#progress.reached.step;
  }

  #heard(weights: WeightsVersion): void {
    // Ids rise; and at each swap, some answers may end on older weights.
    if (weights.id <= this.#spokenId) return;
    this.#spokenId = weights.id;
    const freshness = freshnessOf(weights, Date.now());
    if (freshness) this.#options.onEvent({ event: 'freshness', weights, ...freshness });
  }

  #refused({ weights: { path: _path, ...weights }, error }: RefusedWeights): void {
    const code = error instanceof MillraceError ? error.code : null;
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.onEvent({ event: 'weights', outcome: 'refused', weights, code, reason });
  }

  #speakWith({ id, path }: Pick<CheckpointReport, 'id' | 'path'>, reached: Reached | null): void {
    const weights = spokenWeights(path, this.#job.graph.model);
    this.#taker.offer({ id, ...this.#progress.weightsAt(reached), path: weights });
  }
}
