import type { ReadCounts } from '../model/sampler.ts';
import { HeldText } from './held-text.ts';
import type { Clock, FinishReason, SampleDelta, Tokenizer, WeightsVersion } from './ports.ts';
import type { AnswerUsage, Freshness, TokenDelta, TokenizedPrompt } from './types.ts';

/** Of an answer that ended before any weights had spoken. */
export const noWeights: WeightsVersion = { id: '', step: 0 };

/** What an answer needs to know of its prompt. */
type PromptOf = Pick<TokenizedPrompt, 'id' | 'at' | 'stop'>;

/**
 * Makes the parts of one answer out of what the sampler says: numbers them, ends it with the part that completes a stop
 * string, and tells on the last one what it took.
 */
export class NumberedAnswer {
  readonly #prompt: Pick<TokenizedPrompt, 'id' | 'at'>;
  readonly #stop: readonly string[];
  readonly #text: HeldText | null;
  readonly #clock: Clock;
  #index = 0;
  #completionTokens = 0;
  #read: ReadCounts = { tokens: 0, reused: 0 };
  #weights: WeightsVersion = noWeights;
  /** When those weights spoke first. */
  #spokenAtMs = 0;

  /** Without a tokenizer no stop string is found. */
  constructor({ id, at, stop }: PromptOf, clock: Clock, tokenizer: Pick<Tokenizer, 'decode'> | null) {
    this.#prompt = { id, at };
    this.#stop = stop;
    this.#text = tokenizer && stop.length > 0 ? new HeldText(tokenizer, stop) : null;
    this.#clock = clock;
  }

  part({ read, ...delta }: SampleDelta): TokenDelta {
    if (read) this.#read = read;
    if (delta.weights.id !== this.#weights.id) this.#spokenAtMs = this.#clock.nowMs();
    this.#weights = delta.weights;
    this.#completionTokens += delta.tokens.length;
    const index = this.#index++;
    const finish = this.#isStoppedBy(delta) ? 'stop' : delta.finish;
    const stop = index === 0 && this.#stop.length > 0 ? { stop: this.#stop } : {};
    const part = { ...delta, ...this.#prompt, ...stop, index, finish };
    if (finish === null) return part;
    const freshness = freshnessOf(this.#weights, this.#spokenAtMs);
    return { ...part, usage: this.#usage, ...(freshness ? { freshness } : {}) };
  }

  /** The last part of an answer that ends before the sampler has ended it. */
  end(finish: FinishReason): TokenDelta {
    return this.part({ tokens: new Int32Array(), weights: this.#weights, finish });
  }

  #isStoppedBy({ tokens, finish }: Pick<SampleDelta, 'tokens' | 'finish'>): boolean {
    if (!this.#text) return false;
    this.#text.add(tokens);
    return this.#text.take(finish !== null).isStopped;
  }

  get #usage(): AnswerUsage {
    const { tokens, reused } = this.#read;
    return { promptTokens: tokens, completionTokens: this.#completionTokens, cachedTokens: reused };
  }
}

/** Null where it is not known when the weights were trained. Clocks of producers may differ from ours. */
export function freshnessOf({ textAtMs, trainedAtMs }: WeightsVersion, spokenAtMs: number): Freshness | null {
  if (textAtMs === undefined || trainedAtMs === undefined) return null;
  return { trainedMs: trainedAtMs - textAtMs, spokenMs: spokenAtMs - textAtMs };
}
