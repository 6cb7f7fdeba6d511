import { isDeepStrictEqual } from 'node:util';
import { startTrainer } from '../../infra/index.ts';
import type { TrainerProcess } from '../../infra/index.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import type { Logger, Trainer } from '../../operators/ports.ts';
import { warmUp } from './batch-shape.ts';
import type { BatchShape } from './batch-shape.ts';

interface Seated {
  readonly process: TrainerProcess;
  /** As it was told last. */
  settings: TrainerSettings;
  readonly stagingDir: string;
}

/**
 * The trainer of a job, which outlives the stream that it serves where the next graph trains alike; where not, its
 * successor is started and warmed up beside it. A process that failed is never sat on again.
 */
export class TrainerSeat {
  readonly #stagingDirs: readonly [string, string];
  readonly #logger: Logger;
  #seated: Seated | null = null;
  #standby: Seated | null = null;
  #isKept = false;
  #steppedAtMs = performance.now();
  /** Called when a step is done, once each. */
  #onStep: (() => void)[] = [];
  readonly #closing = new Set<Promise<void>>();

  /** Snapshots are written to the directory, or to one beside it. */
  constructor(stagingDir: string, logger: Logger) {
    this.#stagingDirs = [stagingDir, `${stagingDir}-beside`];
    this.#logger = logger;
  }

  /** Whether the next stream's trainer is another process, which stands by. */
  get hasSuccessor(): boolean {
    return this.#standby !== null;
  }

  /**
   * A trainer of these settings, to be restored: the one that was kept, else the one that stands by, else a new one. One that
   * was kept, and is where the stream goes on from, restores nothing.
   */
  async take(settings: TrainerSettings, isThere: boolean): Promise<Trainer> {
    const [kept, standby] = [this.#seated, this.#standby];
    this.#isKept = false;
    this.#standby = null;
    const found = [standby, kept].find((each) => each && isAlike(each.settings, settings)) ?? null;
    // Nobody waits for their ends, since training does.
    for (const each of [standby, kept]) if (each && each !== found) this.#closing.add(each.process.close());
    this.#seated = found ?? (await this.#start(settings, this.#stagingDirs[0]));
    await this.tune(settings);
    return this.#watched(this.#seated.process, isThere && found === kept);
  }

  /** Tells the trainer that runs what can be told to it, for the steps that are asked for from here on. */
  async tune(settings: TrainerSettings): Promise<void> {
    const seated = this.#seated;
    const { learningRate } = settings.optimizer;
    if (!seated || seated.settings.optimizer.learningRate === learningRate) return;
    seated.settings = settings;
    await seated.process.tune(learningRate);
  }

  /** Milliseconds, to a tenth, from the last step that was done to the next one, whichever process does it; settles when that is done. */
  pause(): Promise<number> {
    const fromMs = this.#steppedAtMs;
    const pauseMs = (): number => Math.round(10 * (this.#steppedAtMs - fromMs)) / 10;
    return new Promise((resolve) => this.#onStep.push(() => resolve(pauseMs())));
  }

  /** Starts a trainer beside the one that trains, and lets it compile its step; or keeps the one where it would do. */
  async prepare(settings: TrainerSettings, shapes: readonly BatchShape[], isCompiled: boolean): Promise<void> {
    if (this.#seated && isCompiled && isAlike(this.#seated.settings, settings)) return;
    const free = this.#stagingDirs.find((directory) => directory !== this.#seated?.stagingDir) ?? this.#stagingDirs[1];
    const standby = await this.#start(settings, free);
    try {
      await warmUp(standby.process, shapes);
      this.#standby = standby;
    } catch (error) {
      await standby.process.close();
      throw error;
    }
  }

  /** The next stream may go on with the process that serves this one. */
  keep(): void {
    this.#isKept = true;
  }

  /** What was prepared is not needed after all. */
  async dismiss(): Promise<void> {
    const standby = this.#standby;
    this.#standby = null;
    await standby?.process.close();
  }

  /** The stream that took the trainer is over. */
  async leave(): Promise<void> {
    if (this.#isKept) return;
    const seated = this.#seated;
    this.#seated = null;
    await seated?.process.close();
  }

  async close(): Promise<void> {
    this.#isKept = false;
    await Promise.all([this.leave(), this.dismiss(), ...this.#closing]);
  }

  #watched(process: TrainerProcess, isRestored: boolean): Trainer {
    let isThere = isRestored;
    return {
      async restore(snapshot, vocabulary) {
        if (!isThere) await process.restore(snapshot, vocabulary);
        isThere = false;
      },
      step: async (batch, guard) => {
        const result = await process.step(batch, guard);
        this.#steppedAtMs = performance.now();
        for (const tell of this.#onStep.splice(0)) tell();
        return result;
      },
      evaluate: (batch) => process.evaluate(batch),
      snapshot: () => process.snapshot(),
      close: () => process.close(),
    };
  }

  async #start(settings: TrainerSettings, stagingDir: string): Promise<Seated> {
    const process = await startTrainer({ settings, stagingDir, logger: this.#logger });
    return { process, settings, stagingDir };
  }
}

/** Whether a trainer of the one may train by the other: all is the same but what can be told to it. */
function isAlike(a: TrainerSettings, b: TrainerSettings): boolean {
  const { learningRate } = b.optimizer;
  return isDeepStrictEqual({ ...a, optimizer: { ...a.optimizer, learningRate } }, b);
}
