import { Observable, Subject } from 'rxjs';
import type { StepInput, StepResult } from '../../model/types.ts';
import type { SampleDelta, SampleRequest, Sampler, Trainer, WeightsVersion } from '../../operators/ports.ts';
import type { Snapshot } from '../../operators/types.ts';
import { Deferred, settle } from './settle.ts';

/** A trainer that does nothing until the test says so; every call is noted. */
export class ManualTrainer implements Trainer {
  readonly calls: string[] = [];
  readonly steps: { readonly batch: StepInput; readonly outcome: Deferred<StepResult> }[] = [];
  readonly restored: Deferred<void> = new Deferred();
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

  async evaluate(): Promise<number> {
    return 1;
  }

  snapshot(): Promise<Snapshot> {
    this.calls.push('snapshot');
    const outcome = new Deferred<Snapshot>();
    this.snapshots.push(outcome);
    return outcome.promise;
  }

  async close(): Promise<void> {}

  /** Finishes the oldest step under way. */
  async finish({ fault = null, ...changes }: Partial<StepResult> = {}): Promise<void> {
    const step = this.steps.shift();
    this.#done += 1;
    const losses = step?.batch.lossMask.slice() ?? new Float32Array();
    const figures = { loss: 1, losses, gradNorm: 2, lr: 0.5, tokens: 4, skipped: fault !== null, fault };
    step?.outcome.resolve({ step: this.#done, ...figures, ...changes });
    await settle();
  }

  async finishSnapshot(state = 'weights'): Promise<void> {
    this.snapshots.shift()?.resolve({ state });
    await settle();
  }
}

export const manualWeights: WeightsVersion = { id: 'w1', step: 1 };

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
