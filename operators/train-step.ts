import { Observable } from 'rxjs';
import type { OperatorFunction, Subscriber } from 'rxjs';
import { batchFromJson, batchToJson, seenToJson, trainStateSchema, withoutOffsets } from './train-state.ts';
import type { Barrier, Change, Element, Item, Restore, Source, Tick, Uid } from './flow.ts';
import { listen } from './listen.ts';
import type { Listener } from './listen.ts';
import { packedBytes } from './packer.ts';
import type { DeadLetters, Trainer } from './ports.ts';
import { respellBatch } from './respell-batch.ts';
import { readState } from './stateful.ts';
import type { OldTokens } from '../model/tokenizer/respelling.ts';
import type { StepResult } from '../model/types.ts';
import type { Snapshot, StepReport, StepTotals, TokenBatch } from './types.ts';
import { nothingSeen, seenAfter } from './watermark.ts';
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
 * Snapshot: weights, optimizer and counters, how far text was learnt, and the batches that wait. A barrier overtakes those (Flink's unaligned
 * barriers), so that a cut never takes longer than the steps under way, however much is in flight. Training goes on while
 * the snapshot's files are written, unless the cut is to be the last: the barrier leaves when they are, and what is done
 * meanwhile is reported behind it. A barrier for `deploy` leaves at once, and has its files when `writing` resolves; what it
 * changes is told between two steps, and what follows is reported when that counts.
 * Ticks overtake what waits too, but never another mark; so they do not recur at the same place behind this operator.
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
  /** Set while a restore is under way, which no step may cross. */
  #isRestoring = false;
  #stepsUnderWay = 0;
  /** Settles when the newest step is done and counted; each waits for the one before it. */
  #counted: Promise<unknown> = Promise.resolve();
  /** Settles when the newest element has been let out; each waits for the one before it. */
  #letOut: Promise<void> = Promise.resolve();
  /** Elements that are to be let out. */
  #leaving = 0;
  /** Barriers among them. */
  readonly #barriersLeaving = new Set<Barrier>();
  #stepsDone = 0;
  #totals: StepTotals = { tokens: 0, bytes: 0, bits: 0 };
  #seen = nothingSeen;
  #finalCutWanted = false;
  #sourceCompleted = false;
  /** Another graph goes on behind a barrier that came by. */
  #isHandedOver = false;
  /** Settles when what was told at a cut counts. */
  #counts: Promise<void> = Promise.resolve();
  #isHeld = false;

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
        this.#restore(element);
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
    if (this.#isRestoring || this.#subscriber.closed) return;
    const [next] = this.#marks;
    if (next) {
      if (!this.#mayPass(next)) return;
      this.#marks.shift();
      this.#letPass(next);
      this.#advance();
      return;
    }
    while (this.#stepsUnderWay < (this.#options.depth ?? 2) && this.#mayStep()) this.#startStep();
    this.#wantFinalCut();
    if (this.#sourceCompleted && !this.#mayStep() && this.#leaving === 0) this.#subscriber.complete();
  }

  /** Steps under way belong in front of a barrier. */
  #mayPass({ mark }: Overtaking): boolean {
    return mark.kind === 'tick' || this.#stepsUnderWay === 0;
  }

  #letPass({ mark, overtaken }: Overtaking): void {
    if (mark.kind === 'barrier') this.#snapshot(mark, overtaken);
    else if (this.#barriersLeaving.size > 0 || this.#isHeld) this.#leave(async () => mark);
    else this.#subscriber.next(mark);
  }

  #mayStep(): boolean {
    if (this.#isHandedOver || [...this.#barriersLeaving].some(isLast)) return false;
    return this.#waiting.length > 0 && this.#stepsDone + this.#stepsUnderWay < this.#maxSteps;
  }

  #startStep(): void {
    const item = this.#waiting.shift();
    if (!item) return;
    this.#stepsUnderWay += 1;
    const counted = this.#count(item, this.#counted);
    this.#counted = counted;
    const counts = this.#counts;
    this.#leave(async () => {
      const report = await counted;
      if (report.skipped) await counts;
      if (report.skipped && !this.#subscriber.closed) await this.#rejectRecords(report);
      return { kind: 'item', value: report, bytes: 0, source: item.source };
    });
  }

  /** Carries out a step, and counts it behind the one before. */
  async #count(item: Item<TokenBatch>, before: Promise<unknown>): Promise<StepReport> {
    const result = await this.#trainer.step(item.value);
    await before;
    this.#stepsDone = result.step;
    this.#stepsUnderWay -= 1;
    this.#seen = seenAfter(this.#seen, item.value);
    item.source.window.give(item.bytes, item.isSpare);
    const report = this.#report(item.value, result);
    this.#advance();
    return report;
  }

  /** Lets an element out, once it is there and those before it are out. */
  #leave(element: () => Promise<Element<StepReport>>): void {
    this.#leaving += 1;
    this.#letOut = this.#emit(element(), this.#letOut);
    this.#letOut.catch((error: unknown) => this.#subscriber.error(error));
  }

  async #emit(element: Promise<Element<StepReport>>, before: Promise<void>): Promise<void> {
    const [ready] = await Promise.all([element, before]);
    this.#leaving -= 1;
    if (ready.kind === 'barrier') this.#barriersLeaving.delete(ready);
    if (this.#subscriber.closed) return;
    this.#subscriber.next(ready);
    this.#advance();
  }

  #report(batch: TokenBatch, result: StepResult): StepReport {
    const { step, loss, gradNorm, lr, tokens, skipped } = result;
    const { replayed } = batch;
    const bits = (loss * tokens) / Math.LN2;
    if (!skipped && !replayed) {
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
      ...(replayed ? { replayed: { ...replayed, loss } } : {}),
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

  #restore(mark: Restore): void {
    this.#source = mark.source;
    const restored = async (): Promise<void> => {
      const snapshot = mark.states.get(this.#uid);
      const resumed = snapshot ? this.#resume(snapshot, mark.source) : null;
      await this.#trainer.restore(resumed?.trainer ?? null, resumed?.vocabulary);
      this.#isRestoring = false;
      this.#subscriber.next(mark);
      this.#advance();
    };
    this.#isRestoring = true;
    restored().catch((error: unknown) => this.#subscriber.error(error));
  }

  /** At once, so that a barrier right behind covers what waits. Returns what is the trainer's own. */
  #resume(
    snapshot: Snapshot,
    source: Source,
  ): { readonly trainer: Snapshot; readonly vocabulary: readonly OldTokens[] | undefined } {
    const { step, totals, seen, waiting, trainer, vocabulary } = readState(this.#uid, () =>
      trainStateSchema.parse(snapshot.state),
    );
    this.#stepsDone = step;
    this.#totals = totals;
    this.#seen = seen;
    for (const value of waiting.map(batchFromJson)) {
      const bytes = packedBytes(value);
      source.window.take(bytes);
      this.#waiting.push({ kind: 'item', value, bytes, source });
    }
    return { trainer: { ...snapshot, state: trainer }, vocabulary };
  }

  /** The trainer takes the snapshot before any step that is asked for later, so that those need not wait for it. */
  #snapshot(barrier: Barrier, overtaken: readonly Item<TokenBatch>[]): void {
    const waiting = overtaken.map((item) => batchToJson(item.value));
    const counts = { step: this.#stepsDone, totals: { ...this.#totals }, seen: seenToJson(this.#seen) };
    const writing = this.#trainer.snapshot().then(({ state: trainer, ...snapshot }) => {
      barrier.basket.set(this.#uid, { ...snapshot, state: { ...counts, waiting, trainer } });
    });
    this.#barriersLeaving.add(barrier);
    if (barrier.reason !== 'deploy') {
      this.#leave(() => writing.then(() => barrier));
      return;
    }
    // Who stores the cut is told by it.
    writing.catch(() => undefined);
    barrier.writing = writing;
    barrier.basket.set(this.#uid, { state: { ...counts, waiting, trainer: null } });
    this.#leave(async () => barrier);
    if (barrier.change) this.#tell(barrier.change);
    else this.#isHandedOver = true;
  }

  /** Training goes on at once; what comes of it is held back until the change counts. */
  #tell(change: Change): void {
    this.#isHeld = true;
    this.#counts = Promise.all([change.tell(), change.counts]).then(() => undefined);
    this.#letOut = Promise.all([this.#letOut, this.#counts]).then(() => {
      this.#isHeld = false;
    });
    this.#letOut.catch((error: unknown) => this.#subscriber.error(error));
  }
}

/** Whether a cut may be the one that the job ends with: a step behind it would be for nothing. */
function isLast({ reason }: Barrier): boolean {
  return reason === 'stop' || reason === 'final';
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
  migrationOf: ({ model, hasOtherTokens }) => {
    const does = [...(model ? [model.does] : []), ...(hasOtherTokens ? ['rows of shared tokens kept'] : [])];
    return does.length > 0 ? { does: does.join('; '), refused: model?.refused ?? null, loses: [] } : null;
  },
  forked: (_uid, snapshot, keepsOffsets) => (keepsOffsets ? snapshot : withoutOffsets(snapshot)),
  respelled: (snapshot, respelling) => {
    const { waiting, ...state } = trainStateSchema.parse(snapshot.state);
    const anew = waiting.flatMap((batch) => respellBatch(batch, respelling));
    return { ...snapshot, state: z.json().parse({ ...state, waiting: anew, vocabulary: respelling.rows }) };
  },
  build: (uid, config, { trainer, deadLetters, maxSteps }) =>
    trainStep(trainer, { uid, ...config, deadLetters, maxSteps }),
});
