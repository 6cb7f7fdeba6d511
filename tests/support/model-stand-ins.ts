import { Observable, Subject } from 'rxjs';
import { z } from 'zod';
import type { StepInput, StepResult } from '../../model/types.ts';
import type { SampleDelta, SampleRequest, Sampler, Trainer, WeightsVersion } from '../../operators/ports.ts';
import type { Snapshot } from '../../operators/types.ts';
import { Deferred, settle } from './settle.ts';

/** Step and chain. */
const stateSchema = z.tuple([z.int(), z.int()]);
const FRESH = [0, 0x811c9dc5] as const;

/**
 * A trainer whose every loss depends on all that it was ever given, in order, so that one batch too many, too few or out
 * of turn shows in all losses that follow. Takes `slowness(step)` turns of the event loop for a step.
 */
export class ChainTrainer implements Trainer {
  readonly #slowness: (step: number) => number;
  #step = 0;
  #chain = 0;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(slowness: (step: number) => number = () => 0) {
    this.#slowness = slowness;
  }

  restore(snapshot: Snapshot | null): Promise<void> {
    return this.#inTurn(() => {
      [this.#step, this.#chain] = snapshot ? stateSchema.parse(snapshot.state) : FRESH;
    });
  }

  step({ ids, targets, lossMask, segments = new Int32Array() }: StepInput): Promise<StepResult> {
    return this.#inTurn(() => {
      this.#step += 1;
      for (const part of [ids, targets, lossMask, segments]) for (const value of part) this.#take(value);
      const tokens = lossMask.reduce((sum, counts) => sum + counts, 0);
      return { step: this.#step, loss: (this.#chain >>> 0) / 2 ** 32, gradNorm: 1, lr: 0.1, tokens, skipped: false };
    });
  }

  snapshot(): Promise<Snapshot> {
    return this.#inTurn(() => ({ state: [this.#step, this.#chain] }));
  }

  async close(): Promise<void> {}

  /** FNV-1a. */
  #take(value: number): void {
    this.#chain = Math.imul(this.#chain ^ value, 0x01000193);
  }

  #inTurn<T>(work: () => T): Promise<T> {
    const done = this.#queue.then(async () => {
      await settle(this.#slowness(this.#step));
      return work();
    });
    this.#queue = done;
    return done;
  }
}

/** A trainer that does nothing until the test says so; every call is noted. */
export class ManualTrainer implements Trainer {
  readonly calls: string[] = [];
  readonly steps: { readonly batch: StepInput; readonly outcome: Deferred<StepResult> }[] = [];
  readonly restored = new Deferred<void>();
  readonly snapshots: Deferred<Snapshot>[] = [];
  #done = 0;

  restore(snapshot: Snapshot | null): Promise<void> {
    this.calls.push(`restore ${JSON.stringify(snapshot)}`);
    return this.restored.promise;
  }

  step(batch: StepInput): Promise<StepResult> {
    this.calls.push('step');
    const outcome = new Deferred<StepResult>();
    this.steps.push({ batch, outcome });
    return outcome.promise;
  }

  snapshot(): Promise<Snapshot> {
    this.calls.push('snapshot');
    const outcome = new Deferred<Snapshot>();
    this.snapshots.push(outcome);
    return outcome.promise;
  }

  async close(): Promise<void> {}

  /** Finishes the oldest step under way. */
  async finish(changes: Partial<StepResult> = {}): Promise<void> {
    const step = this.steps.shift();
    this.#done += 1;
    step?.outcome.resolve({ step: this.#done, loss: 1, gradNorm: 2, lr: 0.5, tokens: 4, skipped: false, ...changes });
    await settle();
  }

  async finishSnapshot(state = 'weights'): Promise<void> {
    this.snapshots.shift()?.resolve({ state });
    await settle();
  }
}

export const standInWeights: WeightsVersion = { id: 'w1', step: 1 };

/** A sampler whose answers the test gives: `answers` holds a subject per request that is listened to. */
export class ManualSampler implements Sampler {
  readonly requests: SampleRequest[] = [];
  readonly answers: Subject<SampleDelta>[] = [];

  async load(): Promise<void> {}

  sample(request: SampleRequest): Observable<SampleDelta> {
    return new Observable((subscriber) => {
      const answer = new Subject<SampleDelta>();
      this.requests.push(request);
      this.answers.push(answer);
      return answer.subscribe(subscriber);
    });
  }

  async close(): Promise<void> {}

  /** Answers that somebody listens to. */
  get open(): number {
    return this.answers.filter((answer) => answer.observed).length;
  }
}
