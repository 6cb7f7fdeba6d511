import { z } from 'zod';
import type { StepReport } from '../../../operators/types.ts';

/** What a stretch of training was like. */
export interface Vitals {
  /** Each batch once, at its exam, where its loss was finite; those of the past are not among them. */
  readonly steps: number;
  readonly bits: number;
  readonly bytes: number;
  /** Of steps that had not to wait for text. */
  readonly busyTokens: number;
  /** That those steps took. */
  readonly busyMs: number;
  readonly records: number;
  readonly deadLetters: number;
  readonly restarts: number;
  /** Records, as last looked up. */
  readonly lag: number;
}

const count = z.number().nonnegative();

export const vitalsSchema: z.ZodType<Vitals> = z.object({
  steps: count,
  bits: z.number(),
  bytes: count,
  busyTokens: count,
  busyMs: count,
  records: count,
  deadLetters: count,
  restarts: count,
  lag: count,
});

export const NO_VITALS: Vitals = {
  steps: 0,
  bits: 0,
  bytes: 0,
  busyTokens: 0,
  busyMs: 0,
  records: 0,
  deadLetters: 0,
  restarts: 0,
  lag: 0,
};

/** With text to train, and no step for so long, nothing is trained. */
const STEP_WITHIN_MS = 30_000;

/** A stream that flows. */
interface Flowing {
  /** Whether there is text on its way to the training. */
  readonly isWaiting: () => boolean;
  /** Null before its first step, which may have to be compiled first. */
  steppedAtMs: number | null;
}

/** As many steps tell what the training is like now. */
const NEWEST = 200;

/**
 * Takes down how a graph does: over its newest steps, and over all since it was asked to begin. Bounded memory.
 */
export class VitalSigns {
  readonly #newest: Vitals[] = [];
  #all: Vitals = NO_VITALS;
  /** What belongs to the step to come. */
  #pending: Vitals = NO_VITALS;
  #lag = 0;
  /** When the step before ended, where the next one could begin at once. */
  #busySinceMs: number | null = null;
  #flowing: Flowing | null = null;

  /** A step is done; `isBusy` says that more waits to be trained already. */
  step(
    { loss, attempt, tokens, bytes, spans, replayed }: StepReport,
    isBusy: boolean,
    atMs: number = performance.now(),
  ): void {
    const records = spans.reduce((sum, { from, to }) => sum + to - from, 0);
    const isExam = attempt === 1 && !replayed && Number.isFinite(loss);
    const trained = !isExam ? {} : { steps: 1, bits: (loss * tokens) / Math.LN2, bytes };
    const busy = this.#busySinceMs === null ? {} : { busyTokens: tokens, busyMs: atMs - this.#busySinceMs };
    this.#busySinceMs = isBusy ? atMs : null;
    if (this.#flowing) this.#flowing.steppedAtMs = atMs;
    const sample = sum(this.#pending, { ...NO_VITALS, records, ...trained, ...busy });
    this.#pending = NO_VITALS;
    this.#all = sum(this.#all, sample);
    this.#newest.push(sample);
    if (this.#newest.length > NEWEST) this.#newest.shift();
  }

  deadLetter(): void {
    this.#pending = { ...this.#pending, deadLetters: this.#pending.deadLetters + 1 };
  }

  /** The stream flows from here on. */
  flows(isWaiting: () => boolean): void {
    this.#flowing = { isWaiting, steppedAtMs: null };
  }

  /** Whether it trains, or there is nothing to train; not while its stream is about to begin, or stands still. */
  isAlive(nowMs: number = performance.now()): boolean {
    if (!this.#flowing) return false;
    const { isWaiting, steppedAtMs } = this.#flowing;
    return !isWaiting() || (steppedAtMs !== null && nowMs - steppedAtMs < STEP_WITHIN_MS);
  }

  /** The stream begins anew from its cut: what passes until its next step is not the time of a step. */
  interrupted(): void {
    this.#busySinceMs = null;
    this.#flowing = null;
  }

  restarted(): void {
    this.interrupted();
    this.#pending = { ...this.#pending, restarts: this.#pending.restarts + 1 };
  }

  lagging(lag: number): void {
    this.#lag = lag;
  }

  /** Of the newest steps. */
  get newest(): Vitals {
    return { ...this.#newest.reduce(sum, NO_VITALS), lag: this.#lag };
  }

  /** Since `begin`, what has no step to belong to yet included. */
  get all(): Vitals {
    return { ...sum(this.#all, this.#pending), lag: this.#lag };
  }

  /** Forgets what was, and counts on from what is known of the stretch that begins. */
  begin(known: Vitals = NO_VITALS): void {
    this.#newest.length = 0;
    this.#pending = NO_VITALS;
    this.#all = known;
    this.#busySinceMs = null;
  }
}

function sum(one: Vitals, other: Vitals): Vitals {
  return {
    steps: one.steps + other.steps,
    bits: one.bits + other.bits,
    bytes: one.bytes + other.bytes,
    busyTokens: one.busyTokens + other.busyTokens,
    busyMs: one.busyMs + other.busyMs,
    records: one.records + other.records,
    deadLetters: one.deadLetters + other.deadLetters,
    restarts: one.restarts + other.restarts,
    lag: other.lag,
  };
}

/** Null where nothing was trained. */
export function bitsPerByte({ bits, bytes }: Vitals): number | null {
  return bytes > 0 ? bits / bytes : null;
}

/** While there was something to train; null where that was too short to say. */
export function tokensPerSecond({ busyTokens, busyMs }: Vitals): number | null {
  return busyMs > 0 ? (busyTokens * 1000) / busyMs : null;
}

/** Dead letters for each record that was trained. */
export function deadLetterRate({ deadLetters, records }: Vitals): number {
  return deadLetters / Math.max(1, records);
}
