import { Observable } from 'rxjs';
import type { OperatorFunction, Subscriber } from 'rxjs';
import { batchFromJson, batchToJson, trainStateSchema } from './train-state.ts';
import type { Barrier, Element, Item, Restore, Source, Tick, Uid } from './flow.ts';
import { listen } from './listen.ts';
import type { Listener } from './listen.ts';
import { packedBytes } from './packer.ts';
import type { DeadLetters, Trainer } from './ports.ts';
import { readState } from './stateful.ts';
import type { StepResult } from '../model/types.ts';
import type { Snapshot, StepReport, StepTotals, TokenBatch } from './types.ts';
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
 * barriers), so that a cut never takes longer than the steps under way, however much is in flight. Ticks overtake them
 * too, but never another mark; so they do not recur at the same place behind this operator.
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
      return listen(flow, new TrainLoop(trainer, options, subscriber), subscriber);
    });
}

/** A mark on its way past the batches that wait. */
interface Overtaking {
  readonly mark: Barrier | Tick;
  /** The batches before it; more may have come behind it by the time that it is let down. */
  readonly overtaken: readonly Item<TokenBatch>[];
}

class TrainLoop implements Listener<TokenBatch> {
  readonly #trainer: Trainer;
  readonly #options: TrainStepOptions;
  readonly #uid: Uid;
  readonly #maxSteps: number;
  readonly #subscriber: Subscriber<Element<StepReport>>;
  #source: Source | null = null;
  readonly #waiting: Item<TokenBatch>[] = [];
  readonly #marks: Overtaking[] = [];
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
      case 'restore':
        this.#exclusively(() => this.#restore(element));
        break;
      case 'barrier':
      case 'tick':
        this.#marks.push({ mark: element, overtaken: [...this.#waiting] });
    }
    this.#advance();
  }

  sourceCompleted(): void {
    this.#sourceCompleted = true;
    this.#advance();
  }

  #advance(): void {
    if (this.#exclusive || this.#subscriber.closed) return;
    const [next] = this.#marks;
    if (next) {
      this.#letPass(next);
      return;
    }
    while (this.#stepsUnderWay < (this.#options.depth ?? 2) && this.#mayStep()) this.#startStep();
    this.#wantFinalCut();
    if (this.#sourceCompleted && !this.#mayStep() && this.#stepsUnderWay === 0) this.#subscriber.complete();
  }

  #letPass({ mark, overtaken }: Overtaking): void {
    if (mark.kind === 'tick') {
      this.#marks.shift();
      this.#subscriber.next(mark);
      this.#advance();
    } else if (this.#stepsUnderWay === 0) {
      this.#marks.shift();
      this.#exclusively(() => this.#snapshot(mark, overtaken));
    }
  }

  #mayStep(): boolean {
    return this.#waiting.length > 0 && this.#stepsDone + this.#stepsUnderWay < this.#maxSteps;
  }

  #startStep(): void {
    const item = this.#waiting.shift();
    if (!item) return;
    this.#stepsUnderWay += 1;
    this.#finished = this.#step(item, this.#finished);
    this.#finished.catch((error: unknown) => this.#subscriber.error(error));
  }

  async #step(item: Item<TokenBatch>, before: Promise<void>): Promise<void> {
    const result = await this.#trainer.step(item.value);
    await before;
    if (this.#subscriber.closed) return;
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
      step,
      loss,
      gradNorm,
      lr,
      tokens,
      skipped,
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
    const trainer = snapshot ? this.#resume(snapshot, mark.source) : null;
    await this.#trainer.restore(trainer);
    this.#subscriber.next(mark);
  }

  /** At once, so that a barrier right behind covers what waits. Returns the trainer's own snapshot. */
  #resume(snapshot: Snapshot, source: Source): Snapshot {
    const { step, totals, waiting, trainer } = readState(this.#uid, () => trainStateSchema.parse(snapshot.state));
    this.#stepsDone = step;
    this.#totals = totals;
    for (const value of waiting.map(batchFromJson)) {
      const bytes = packedBytes(value);
      source.window.take(bytes);
      this.#waiting.push({ kind: 'item', value, bytes, source });
    }
    return { ...snapshot, state: trainer };
  }

  async #snapshot(barrier: Barrier, overtaken: readonly Item<TokenBatch>[]): Promise<void> {
    const waiting = overtaken.map((item) => batchToJson(item.value));
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
  state: 'weights, optimizer, counters, and the batches that wait',
  config: z.strictObject({
    depth: z.int().positive().default(2).describe('Batches that the trainer has at once.'),
  }),
  build: (uid, config, { trainer, deadLetters, maxSteps }) =>
    trainStep(trainer, { uid, ...config, deadLetters, maxSteps }),
});
