import { MillraceError } from '../../operators/errors.ts';
import type { Sampler, WeightsFile } from '../../operators/ports.ts';
import { scorerOf } from './scorer.ts';
import type { Scorer } from './scorer.ts';

/** What says that weights are bad, and not that something else went wrong. */
const BAD_WEIGHTS: ReadonlySet<string> = new Set(['weights-corrupt', 'weights-mismatch']);

export function isOfBadWeights(error: unknown): error is MillraceError {
  return error instanceof MillraceError && BAD_WEIGHTS.has(error.code);
}

/** A sampler that nobody else asks, with the weights that are examined. */
export interface Examined {
  readonly sampler: Sampler;
  readonly score: Scorer;
}

/**
 * Where exams are held: a sampler of its own, one set of weights in memory at a time. It is started for the first exam, and
 * anew after one in which anything went wrong but the weights.
 */
export class ExamRoom {
  readonly #open: () => Promise<Sampler>;
  #sampler: Promise<Sampler> | null = null;
  #isClosed = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(open: () => Promise<Sampler>) {
    this.#open = open;
  }

  /** One exam after the other. Rejects as the exam does, where the weights can't be loaded, or with `process-died`. */
  hold<T>(weights: WeightsFile, exam: (examined: Examined) => Promise<T>): Promise<T> {
    const held = this.#last.then(() => this.#hold(weights, exam));
    this.#last = held.catch(() => undefined);
    return held;
  }

  /** Breaks off an exam under way, which rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#drop();
  }

  async #hold<T>(weights: WeightsFile, exam: (examined: Examined) => Promise<T>): Promise<T> {
    try {
      const sampler = await this.#opened();
      await sampler.load(weights);
      return await exam({ sampler, score: scorerOf(sampler) });
    } catch (error) {
      if (!isOfBadWeights(error)) await this.#drop();
      throw error;
    }
  }

  #opened(): Promise<Sampler> {
    if (this.#isClosed) throw new MillraceError('process-died', 'The examiner was closed.');
    this.#sampler ??= this.#open();
    return this.#sampler;
  }

  async #drop(): Promise<void> {
    const sampler = await this.#sampler?.catch(() => null);
    this.#sampler = null;
    await sampler?.close();
  }
}
