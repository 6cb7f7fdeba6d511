import { z } from 'zod';
import type { Json } from './types.ts';

export interface DriftOptions {
  /** Bytes of text that are judged together. */
  readonly blockBytes: number;
  /** Blocks that say what is usual; as many must come before anything is judged. */
  readonly reference: number;
  /** Sum of standard deviations, beyond what is let pass, that raises the alarm. */
  readonly threshold: number;
  /** Whether less bits per byte than usual raise it too; they mostly mean that the model learns. */
  readonly both: boolean;
}

interface Usual {
  readonly mean: number;
  readonly deviation: number;
}

/** The source has moved, or no longer has. */
export interface DriftChange {
  readonly state: 'raised' | 'cleared';
  /** Bits per byte: of the block that raised it, or of late. */
  readonly bitsPerByte: number;
  readonly usual: Usual;
  /** Why it is over: the source is as it was, or what it has become is usual by now. */
  readonly by?: 'return' | 'habit';
}

/** Standard deviations that are let pass at each block. */
const SLACK = 0.5;
/** One strange block, which a strange document may make, does not raise it alone at the usual threshold. */
const MOST_DEVIATIONS = 6;
/** So much of a block's deviation is learnt, in standard deviations, so that a move does not hide itself. */
const LEARNT_DEVIATIONS = 2;
/** Steadier than so much of the mean no source is taken to be. */
const LEAST_DEVIATION = 0.01;
/** Weight of the newest block in what a source does of late. */
const LATELY = 1 / 8;
/** After so many times the reference, what a source has become is usual. */
const HABIT = 4;

export interface DriftState {
  /** Of the block that has begun. */
  bytes: number;
  bits: number;
  /** Learnt ones, as many as are the reference at most; and what they say is usual. */
  blocks: number;
  mean: number;
  variance: number;
  /** The two sums. */
  up: number;
  down: number;
  /** Blocks since the alarm was raised, and what they are like of late; null where it is not. */
  raised: { blocks: number; lately: number; spread: number } | null;
}

export const driftStateSchema: z.ZodType<DriftState> = z.object({
  bytes: z.number(),
  bits: z.number(),
  blocks: z.int(),
  mean: z.number(),
  variance: z.number(),
  up: z.number(),
  down: z.number(),
  raised: z.object({ blocks: z.int(), lately: z.number(), spread: z.number() }).nullable(),
});

const NOTHING: DriftState = { bytes: 0, bits: 0, blocks: 0, mean: 0, variance: 0, up: 0, down: 0, raised: null };

/**
 * Tells when the bits per byte of a source move: the two-sided cumulative sum (CUSUM) of E. S. Page, Continuous Inspection
 * Schemes, Biometrika 41 (1954), over blocks of text, in standard deviations from a mean that moves with the blocks
 * exponentially (S. W. Roberts, Technometrics 1 (1959)), since a model that learns makes each source fall slowly. While the
 * alarm is raised the mean stands still; it is over when the source is within one standard deviation of it again, or has
 * been elsewhere for so long that this is usual.
 */
export class Drift {
  readonly #options: DriftOptions;
  #state: DriftState;

  constructor(options: DriftOptions, state: DriftState = NOTHING) {
    this.#options = options;
    this.#state = { ...state };
  }

  /** Counts text of the source; at most one block ends with it. */
  add(bytes: number, bits: number): DriftChange | null {
    const state = this.#state;
    state.bytes += bytes;
    state.bits += bits;
    if (state.bytes < this.#options.blockBytes) return null;
    const value = state.bits / state.bytes;
    Object.assign(state, { bytes: 0, bits: 0 });
    if (state.raised) return this.#whileRaised(state.raised, value);
    if (state.blocks >= this.#options.reference) {
      const change = this.#judge(value);
      if (change) return change;
      this.#learn(within(value - state.mean, LEARNT_DEVIATIONS * this.#usual.deviation));
      return null;
    }
    this.#learn(value - state.mean);
    return null;
  }

  snapshot(): Json {
    return { ...this.#state, raised: this.#state.raised && { ...this.#state.raised } };
  }

  get #usual(): Usual {
    const { mean, variance } = this.#state;
    return { mean, deviation: Math.max(Math.sqrt(variance), LEAST_DEVIATION * mean) };
  }

  #judge(value: number): DriftChange | null {
    const state = this.#state;
    const { mean, deviation } = this.#usual;
    const off = within((value - mean) / deviation, MOST_DEVIATIONS);
    state.up = Math.max(0, state.up + off - SLACK);
    state.down = Math.max(0, state.down - off - SLACK);
    const { threshold, both } = this.#options;
    if (state.up <= threshold && !(both && state.down > threshold)) return null;
    state.raised = { blocks: 0, lately: value, spread: 0 };
    return { state: 'raised', bitsPerByte: value, usual: this.#usual };
  }

  #whileRaised(raised: NonNullable<DriftState['raised']>, value: number): DriftChange | null {
    const off = value - raised.lately;
    raised.blocks += 1;
    raised.lately += LATELY * off;
    raised.spread = (1 - LATELY) * (raised.spread + LATELY * off ** 2);
    const usual = this.#usual;
    const isBack = Math.abs(raised.lately - usual.mean) <= usual.deviation;
    const isUsual = raised.blocks >= HABIT * this.#options.reference;
    if (!isBack && !isUsual) return null;
    if (!isBack) Object.assign(this.#state, { mean: raised.lately, variance: raised.spread });
    Object.assign(this.#state, { up: 0, down: 0, raised: null });
    return { state: 'cleared', bitsPerByte: raised.lately, usual, by: isBack ? 'return' : 'habit' };
  }

  /** All blocks weigh the same until there are enough, then the older ones fade. */
  #learn(off: number): void {
    const state = this.#state;
    state.blocks = Math.min(state.blocks + 1, this.#options.reference);
    const weight = 1 / state.blocks;
    state.mean += weight * off;
    state.variance = (1 - weight) * (state.variance + weight * off ** 2);
  }
}

function within(value: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, value));
}
