import { Subject, firstValueFrom, race, timer } from 'rxjs';
import { isItem } from '../../operators/flow.ts';
import type { Source, Uid } from '../../operators/flow.ts';
import { has } from '../spec/streams.ts';
import type { JobReports } from './job-reports.ts';
import type { OpenJob } from './open-job.ts';
import { openStream } from './open-stream.ts';
import { runStream } from './run-stream.ts';
import type { TrainerSeat } from './trainer-seat.ts';
import type { Voice } from './voice.ts';

export interface BesideOptions {
  readonly reports: JobReports;
  readonly voice: Voice;
  readonly seat: TrainerSeat;
  /** Asked of a stream that can't go on; true where somebody mends that. */
  readonly rescue: (stream: string, error: unknown) => boolean;
}

interface Running {
  /** Configurations that its operators were told since they were built. */
  readonly told: Map<Uid, unknown>;
  /** Makes a last cut, if that is quickly done. */
  readonly farewell: () => Promise<void>;
  /** Stops the stream, and ends what it has started. */
  readonly close: () => Promise<void>;
}

/** How long a stream beside the training may take for its last cut. */
const FAREWELL_MS = 3000;

/** The streams of a job that do not train, each of which runs until it is closed. */
export class Beside {
  readonly #options: BesideOptions;
  readonly #running = new Map<string, Running>();
  readonly #failures = new Subject<never>();
  /** Rejects when one of them can't go on; never resolves. */
  readonly failed: Promise<never>;

  constructor(options: BesideOptions) {
    this.#options = options;
    this.failed = firstValueFrom(this.#failures);
    // Who starts the streams asks for it; a job that is over already does not.
    this.failed.catch(() => undefined);
  }

  /** Starts those of a job's graph, or only some of them. */
  start(job: OpenJob, names: readonly string[] = Object.keys(job.graph.streams)): void {
    for (const name of names) {
      const steps = job.graph.streams[name];
      if (steps && !has(steps, 'trainStep')) this.#running.set(name, this.#run(job, name));
    }
  }

  /** Tells operators that run what the job's graph says of them now, but those of streams that are to be built anew. */
  tell({ graph }: OpenJob, rebuilt: readonly string[]): void {
    for (const [name, { told }] of this.#running) {
      if (rebuilt.includes(name)) continue;
      for (const { uid, config } of graph.streams[name] ?? []) told.set(uid, config);
    }
  }

  /** Ends some of them behind a last cut. */
  async end(names: readonly string[]): Promise<void> {
    const ending = names.map((name) => this.#running.get(name)).filter((stream) => stream !== undefined);
    for (const name of names) this.#running.delete(name);
    await Promise.all(ending.map((stream) => stream.farewell().then(() => stream.close())));
  }

  /** Lets all of them make a last cut. */
  async farewell(): Promise<void> {
    await Promise.all([...this.#running.values()].map((stream) => stream.farewell()));
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#running.values()].map((stream) => stream.close()));
  }

  #run(job: OpenJob, name: string): Running {
    const { reports, voice } = this.#options;
    const steps = job.graph.streams[name] ?? [];
    let source: Source | null = null;
    const told = new Map<Uid, unknown>();
    const running = runStream(
      () => openStream({ job, name, steps, told, maxSteps: Infinity, ...this.#options }),
      (error) => {
        source = null;
        reports.restarted(name, error);
      },
    );
    const cuts = new Subject<void>();
    const subscription = running.flow.subscribe({
      next: (element) => {
        source = element.source;
        if (element.kind === 'restore') voice.listening();
        if (!isItem(element)) return;
        reports.spoken(element.value);
        if (element.value.event === 'checkpoint' && element.value.reason === 'final') cuts.next();
      },
      error: (error: unknown) => {
        if (!this.#options.rescue(name, error)) this.#failures.error(error);
      },
    });
    return {
      told,
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
}
