import { Observable } from 'rxjs';
import type { OperatorFunction, Subscriber } from 'rxjs';
import { batchFromJson, batchToJson, trainStateSchema } from './train-state.ts';
import type { Barrier, Element, Item, Restore, Source, Uid } from './flow.ts';
import { packedBytes } from './packer.ts';
import type { DeadLetters, Trainer } from './ports.ts';
import { readState } from './stateful.ts';
import type { StepResult } from '../model/types.ts';
import type { StepReport, StepTotals, TokenBatch } from './types.ts';
import { z } from 'zod';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

export interface TrainStepOptions {
  readonly uid?: Uid;
  /** Where the records of a batch go whose loss or gradient was not finite. Without it, such a batch is only skipped. */
  readonly deadLetters?: DeadLetters;
  /** Batches that the trainer has at once; with two it never waits for the next one. */
  readonly depth?: number;
  /** Asks for a final cut after so many steps of the job's life, and takes none beyond. */
  readonly maxSteps?: number;
}

/**
 * Trains on each batch and emits what the step did. The reported loss is from before the update.
 *
 * Order: kept. Backpressure: a batch's bytes go back when its step is done. Errors: the trainer's end the flow; a batch
 * without a finite loss is undone by the trainer, its records go to the dead letters. Completion: after the last step.
 * Snapshot: weights, optimizer and counters, and the batches that wait. A barrier overtakes those (Flink's unaligned
 * barriers), so that a cut never takes longer than the steps under way, however much is in flight.
 *
 * @example
 * flow.pipe(trainStep(await startTrainer(settings), { maxSteps: 1000 }))
 */
export function trainStep(
  trainer: Trainer,
  options: TrainStepOptions = {},
): OperatorFunction<Element<TokenBatch>, Element<StepReport>> {
  return (flow) =>
    // A queue that barriers overtake and a limit on steps under way: no composition of RxJS operators has both.
    new Observable((subscriber) => {
      const loop = new TrainLoop(trainer, options, subscriber);
      return flow.subscribe({
        next: (element) => loop.take(element),
        error: (error: unknown) => subscriber.error(error),
        complete: () => loop.sourceCompleted(),
      });
    });
}

class TrainLoop {
  readonly #trainer: Trainer;
  readonly #options: TrainStepOptions;
  readonly #uid: Uid;
  readonly #maxSteps: number;
  readonly #subscriber: Subscriber<Element<StepReport>>;
  #source: Source | null = null;
  readonly #waiting: Item<TokenBatch>[] = [];
  readonly #barriers: Barrier[] = [];
  /** Set while a restore or a snapshot is under way, which no step may cross. */
  #exclusive = false;
  #stepsUnderWay = 0;
  /** Settles when the newest step has been reported; each waits for the one before it. */
  #finished: Promise<void> = Promise.resolve();
  #stepsDone = 0;
  #totals: StepTotals = { tokens: 0, bytes: 0, bits: 0 };
  #finalCutWanted = false;
  #sourceCompleted = false;

  constructor(trainer: Trainer, options: TrainStepOptions, subscriber: Subscriber<Element<StepReport>>) {
    this.#trainer = trainer;
    this.#options = options;
    this.#uid = options.uid ?? 'train';
    this.#maxSteps = options.maxSteps ?? Infinity;
    this.#subscriber = subscriber;
  }

  take(element: Element<TokenBatch>): void {
    switch (element.kind) {
      case 'item':
        this.#waiting.push(element);
        break;
      case 'barrier':
        this.#barriers.push(element);
        break;
      case 'restore':
        this.#exclusively(() => this.#restore(element));
        break;
      case 'tick':
        this.#subscriber.next(element);
    }
    this.#advance();
  }

  sourceCompleted(): void {
    this.#sourceCompleted = true;
    this.#advance();
  }

  #advance(): void {
    if (this.#exclusive || this.#subscriber.closed) return;
    const [barrier] = this.#barriers;
    if (barrier) {
      if (this.#stepsUnderWay > 0) return;
      this.#barriers.shift();
      this.#exclusively(() => this.#snapshot(barrier));
      return;
    }
    while (this.#stepsUnderWay < (this.#options.depth ?? 2) && this.#mayStep()) this.#startStep();
    this.#wantFinalCut();
    if (this.#sourceCompleted && this.#waiting.length === 0 && this.#stepsUnderWay === 0) this.#subscriber.complete();
  }

  #mayStep(): boolean {
    return this.#waiting.length > 0 && this.#stepsDone + this.#stepsUnderWay < this.#maxSteps;
  }

  #startStep(): void {
    const item = this.#waiting.shift();
    if (!item) return;
    this.#stepsUnderWay += 1;
    this.#finished = Promise.all([this.#trainer.step(item.value), this.#finished]).then(([result]) =>
      this.#finishStep(item, result),
    );
    this.#finished.catch((error: unknown) => this.#subscriber.error(error));
  }

  async #finishStep(item: Item<TokenBatch>, result: StepResult): Promise<void> {
    this.#stepsDone = result.step;
    const report = this.#report(item.value, result);
    if (result.skipped) await this.#rejectRecords(report);
    this.#stepsUnderWay -= 1;
    item.source.window.give(item.bytes);
    this.#subscriber.next({ kind: 'item', value: report, bytes: 0, source: item.source });
    this.#advance();
  }

  #report(batch: TokenBatch, result: StepResult): StepReport {
    const { step, loss, gradNorm, lr, tokens, skipped } = result;
    const bits = (loss * tokens) / Math.LN2;
    if (!skipped) {
      const { tokens: allTokens, bytes, bits: allBits } = this.#totals;
      this.#totals = { tokens: allTokens + tokens, bytes: bytes + batch.byteCount, bits: allBits + bits };
    }
    return {
      event: 'step',
      ...{ step, loss, gradNorm, lr, tokens, skipped },
      bitsPerByte: batch.byteCount > 0 ? bits / batch.byteCount : 0,
      bytes: batch.byteCount,
      totals: this.#totals,
      spans: batch.spans,
      timestampMs: batch.timestampMs,
    };
  }

  async #rejectRecords({ spans, step }: StepReport): Promise<void> {
    const message = `Loss or gradient of step ${step}, which held this record, was not finite; the step was undone.`;
    for (const { topic, partition, from, to } of spans) {
      for (let offset = from; offset < to; offset++) {
        const at = { topic, partition, offset };
        await this.#options.deadLetters?.put({ at, code: 'non-finite-loss', message, key: null, value: null });
      }
    }
  }

  #wantFinalCut(): void {
    if (this.#finalCutWanted || this.#stepsDone < this.#maxSteps) return;
    this.#finalCutWanted = true;
    this.#source?.requestCut('final');
  }

  async #restore(mark: Restore): Promise<void> {
    this.#source = mark.source;
    const snapshot = mark.states.get(this.#uid);
    if (!snapshot) {
      await this.#trainer.restore(null);
    } else {
      const state = readState(this.#uid, () => trainStateSchema.parse(snapshot.state));
      await this.#trainer.restore({ ...snapshot, state: state.trainer });
      this.#stepsDone = state.step;
      this.#totals = state.totals;
      for (const value of state.waiting.map(batchFromJson).toReversed()) {
        const bytes = packedBytes(value);
        mark.source.window.take(bytes);
        this.#waiting.unshift({ kind: 'item', value, bytes, source: mark.source });
      }
    }
    this.#subscriber.next(mark);
  }

  async #snapshot(barrier: Barrier): Promise<void> {
    const waiting = this.#waiting.map((item) => batchToJson(item.value));
    const { state: trainer, ...snapshot } = await this.#trainer.snapshot();
    const state = { step: this.#stepsDone, totals: { ...this.#totals }, waiting, trainer };
    barrier.basket.set(this.#uid, { ...snapshot, state });
    this.#subscriber.next(barrier);
  }

  /** Runs `work` while no step is under way or begun. */
  #exclusively(work: () => Promise<void>): void {
    this.#exclusive = true;
    work().then(
      () => {
        this.#exclusive = false;
        this.#advance();
      },
      (error: unknown) => this.#subscriber.error(error),
    );
  }
}

export const trainStepKind: OperatorKind = defineKind({
  kind: 'trainStep',
  summary: 'Trains on each batch: first the exam, then the lesson.',
  input: 'token-batch',
  output: 'step-report',
  config: z.strictObject({
    depth: z.int().positive().default(2).describe('Batches that the trainer has at once.'),
  }),
  build: (uid, config, { trainer, deadLetters, maxSteps }) =>
    trainStep(trainer, { uid, ...config, deadLetters, maxSteps }),
});
