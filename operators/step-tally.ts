import type { StepResult } from '../model/types.ts';
import { SourceSums } from './source-sums.ts';
import { seenToJson } from './train-state.ts';
import type { TrainState } from './train-state.ts';
import type { Json, StepReport, StepTotals, TokenBatch } from './types.ts';
import { nothingSeen, seenAfter } from './watermark.ts';

/** What of the state is counted here. */
type Counted = 'step' | 'totals' | 'sources' | 'seen';

/** Counts what steps have done over the life of a job, and reports each. */
export class StepTally {
  #steps = 0;
  #totals: StepTotals = { tokens: 0, bytes: 0, bits: 0 };
  #sources = new SourceSums();
  #seen = nothingSeen;

  /** Steps that the trainer has done. */
  get steps(): number {
    return this.#steps;
  }

  /** Takes a step down that is done. Steps come in their order. */
  count(batch: TokenBatch, result: StepResult, attempt: StepReport['attempt'] = 1): StepReport {
    const { step, loss, gradNorm, lr, tokens, skipped, fault } = result;
    const { replayed } = batch;
    const bits = (loss * tokens) / Math.LN2;
    const { targets, lossMask, pieces } = batch;
    // Each batch is examined once: before it is learnt, or before it is found that it can't be.
    const exam = attempt === 1 && pieces ? { targets, lossMask, losses: result.losses, pieces } : null;
    const counts = attempt === 1 && Number.isFinite(loss);
    this.#steps = step;
    this.#seen = seenAfter(this.#seen, batch);
    if (counts && !replayed) this.#add({ tokens, bytes: batch.byteCount, bits });
    return {
      event: 'step',
      step,
      loss,
      gradNorm,
      lr,
      tokens,
      skipped,
      fault,
      attempt,
      bitsPerByte: batch.byteCount > 0 ? bits / batch.byteCount : 0,
      bytes: batch.byteCount,
      totals: this.#totals,
      spans: batch.spans,
      timestampMs: batch.timestampMs,
      ...(exam && counts ? { sources: this.#sources.add(exam) } : {}),
      ...(exam ? { exam } : {}),
      ...(replayed ? { replayed: { ...replayed, loss } } : {}),
    };
  }

  snapshot(): { readonly [part in Counted]: Json } & { readonly step: number } {
    const [totals, sources] = [{ ...this.#totals }, this.#sources.snapshot()];
    return { step: this.#steps, totals, sources, seen: seenToJson(this.#seen) };
  }

  restore({ step, totals, sources, seen }: Pick<TrainState, Counted>): void {
    this.#steps = step;
    this.#totals = totals;
    this.#sources = new SourceSums(sources);
    this.#seen = seen;
  }

  #add({ tokens, bytes, bits }: StepTotals): void {
    const before = this.#totals;
    this.#totals = { tokens: before.tokens + tokens, bytes: before.bytes + bytes, bits: before.bits + bits };
  }
}
