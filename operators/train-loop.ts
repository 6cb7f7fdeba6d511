import type { Subscriber } from 'rxjs';
import type { OldTokens } from '../model/tokenizer/respelling.ts';
import type { Barrier, Change, Element, Item, Restore, Source, Tick, Uid } from './flow.ts';
import type { Listener } from './listen.ts';
import { Outlet } from './outlet.ts';
import { packedBytes } from './packer.ts';
import type { DeadLetters, Trainer } from './ports.ts';
import { readState } from './stateful.ts';
import { SetAside, faultText } from './set-aside.ts';
import { StepTally } from './step-tally.ts';
import { batchFromJson, batchToJson, trainStateSchema } from './train-state.ts';
import type { TrainGuard } from './train-guard.ts';
import type { Snapshot, StepReport, TokenBatch } from './types.ts';

export interface TrainLoopOptions {
  readonly uid: Uid;
  readonly trainer: Trainer;
  readonly deadLetters?: DeadLetters | undefined;
  /** Steps under way at once. */
  readonly depth: number;
  readonly maxSteps: number;
  /** Null for none. */
  readonly guard: TrainGuard | null;
}

/** A mark on its way past the batches that wait. */
interface Overtaking {
  readonly mark: Barrier | Tick;
  /** The batches before it; more may have come behind it by the time that it is let down. */
  readonly overtaken: readonly Item<TokenBatch>[];
}

/** Batches that wait, steps under way, and the marks that overtake them: see `trainStep`. */
export class TrainLoop implements Listener<TokenBatch> {
  readonly #options: TrainLoopOptions;
  readonly #subscriber: Subscriber<Element<StepReport>>;
  readonly #outlet: Outlet<StepReport>;
  readonly #tally = new StepTally();
  #source: Source | null = null;
  readonly #waiting: Item<TokenBatch>[] = [];
  readonly #setAside = new SetAside();
  readonly #marks: Overtaking[] = [];
  /** Set while a restore is under way, which no step may cross. */
  #isRestoring = false;
  #stepsUnderWay = 0;
  /** Settles when the newest step is done and counted; each waits for the one before it. */
  #counted: Promise<unknown> = Promise.resolve();
  #finalCutWanted = false;
  #sourceCompleted = false;
  /** Another graph goes on behind a barrier that came by. */
  #isHandedOver = false;
  /** Settles when what was told at a cut counts. */
  #counts: Promise<void> = Promise.resolve();

  constructor(options: TrainLoopOptions, subscriber: Subscriber<Element<StepReport>>) {
    this.#options = options;
    this.#subscriber = subscriber;
    this.#outlet = new Outlet(subscriber, () => this.#advance());
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
    while (this.#stepsUnderWay < this.#options.depth && this.#mayStep()) this.#startStep();
    this.#wantFinalCut();
    if (this.#sourceCompleted && !this.#mayStep() && this.#outlet.isEmpty) this.#subscriber.complete();
  }

  /** Steps under way belong in front of a barrier. */
  #mayPass({ mark }: Overtaking): boolean {
    return mark.kind === 'tick' || this.#stepsUnderWay === 0;
  }

  #letPass({ mark, overtaken }: Overtaking): void {
    if (mark.kind === 'barrier') this.#snapshot(mark, overtaken);
    else this.#outlet.putTick(mark);
  }

  #mayStep(): boolean {
    if (this.#isHandedOver || this.#outlet.hasLast) return false;
    const isThere = this.#waiting.length > 0 || this.#setAside.isDue(this.#turn);
    return isThere && this.#nextStep <= this.#options.maxSteps;
  }

  get #nextStep(): number {
    return this.#tally.steps + this.#stepsUnderWay + 1;
  }

  /** Up to which step what was set aside is due: all of it, once there is nothing else to come. */
  get #turn(): number {
    return this.#sourceCompleted && this.#waiting.length === 0 ? Infinity : this.#nextStep;
  }

  #startStep(): void {
    const again = this.#setAside.take(this.#turn);
    const item = again ?? this.#waiting.shift();
    if (!item) return;
    this.#stepsUnderWay += 1;
    const counted = this.#count(item, again ? 2 : 1, this.#counted);
    this.#counted = counted;
    const counts = this.#counts;
    this.#outlet.put(async () => {
      const report = await counted;
      if (this.#isRejected(report)) await counts;
      if (this.#isRejected(report) && !this.#subscriber.closed) await this.#rejectRecords(report);
      return { kind: 'item', value: report, bytes: 0, source: item.source };
    });
  }

  /** Carries out a step, and counts it behind the one before. */
  async #count(item: Item<TokenBatch>, attempt: StepReport['attempt'], before: Promise<unknown>): Promise<StepReport> {
    const { trainer, guard, depth } = this.#options;
    const result = await trainer.step(item.value, guard ?? undefined);
    await before;
    this.#stepsUnderWay -= 1;
    const report = this.#tally.count(item.value, result, attempt);
    // Not before it is known of every step that may be under way with it.
    if (report.skipped && !this.#isRejected(report)) {
      this.#setAside.add(item, report.step + Math.max(guard?.retryAfter ?? 0, depth));
    }
    item.source.window.give(item.bytes, item.isSpare);
    this.#advance();
    return item.counts ? { ...report, counts: item.counts } : report;
  }

  /** Whether a batch is not tried any more. One that was replayed was learnt before; it has no records to reject. */
  #isRejected({ skipped, attempt, replayed }: StepReport): boolean {
    const { guard } = this.#options;
    return skipped && (attempt === 2 || replayed !== undefined || guard === null || guard.retryAfter === 0);
  }

  async #rejectRecords({ spans, step, attempt, fault }: StepReport): Promise<void> {
    const code = fault ?? 'non-finite-loss';
    const tried = attempt === 2 ? 'again, and its records are not tried any more' : 'and it was skipped';
    const message = `In step ${step}, which held this record, ${faultText(code)}, ${tried}.`;
    for (const { topic, partition, from, to } of spans) {
      for (let offset = from; offset < to; offset++) {
        const at = { topic, partition, offset };
        await this.#options.deadLetters?.put({ at, code, message, key: null, value: null });
      }
    }
  }

  #wantFinalCut(): void {
    if (this.#finalCutWanted || this.#tally.steps < this.#options.maxSteps) return;
    this.#finalCutWanted = true;
    this.#source?.requestCut('final');
  }

  #restore(mark: Restore): void {
    this.#source = mark.source;
    const restored = async (): Promise<void> => {
      const snapshot = mark.states.get(this.#options.uid);
      const resumed = snapshot ? this.#resume(snapshot, mark.source) : null;
      await this.#options.trainer.restore(resumed?.trainer ?? null, resumed?.vocabulary);
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
    const { waiting, setAside, trainer, vocabulary, ...counted } = readState(this.#options.uid, () =>
      trainStateSchema.parse(snapshot.state),
    );
    this.#tally.restore(counted);
    for (const { counts, ...json } of waiting) {
      const value = batchFromJson(json);
      const bytes = packedBytes(value);
      source.window.take(bytes);
      this.#waiting.push({ kind: 'item', value, bytes, source, ...(counts ? { counts } : {}) });
    }
    for (const { dueAt, batch } of setAside) {
      this.#setAside.add({ kind: 'item', value: batchFromJson(batch), bytes: 0, source }, dueAt);
    }
    return { trainer: { ...snapshot, state: trainer }, vocabulary };
  }

  /** The trainer takes the snapshot before any step that is asked for later, so that those need not wait for it. */
  #snapshot(barrier: Barrier, overtaken: readonly Item<TokenBatch>[]): void {
    const { uid, trainer } = this.#options;
    const state = {
      ...this.#tally.snapshot(),
      waiting: overtaken.map(({ value, counts }) => batchToJson(value, counts)),
      setAside: this.#setAside.snapshot(),
    };
    const writing = trainer.snapshot().then(({ state: itsOwn, ...snapshot }) => {
      barrier.basket.set(uid, { ...snapshot, state: { ...state, trainer: itsOwn } });
    });
    if (barrier.reason !== 'deploy') {
      this.#outlet.putBarrier(barrier, writing);
      return;
    }
    // Who stores the cut is told by it.
    writing.catch(() => undefined);
    barrier.writing = writing;
    barrier.basket.set(uid, { state: { ...state, trainer: null } });
    this.#outlet.putBarrier(barrier);
    if (barrier.change) this.#tell(barrier.change);
    else this.#isHandedOver = true;
  }

  /** Training goes on at once; what comes of it is held back until the change counts. */
  #tell(change: Change): void {
    this.#counts = Promise.all([change.tell(), change.counts]).then(() => undefined);
    this.#outlet.holdUntil(this.#counts);
  }
}
