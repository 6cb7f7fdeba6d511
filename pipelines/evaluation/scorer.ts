import { firstValueFrom } from 'rxjs';
import type { Sampler, Tokenizer } from '../../operators/ports.ts';

/** Natural logarithm of the probability of each token but the first, given all before it. */
export type Scorer = (tokens: Int32Array) => Promise<readonly number[]>;

/** What is needed to score text. */
export interface Scoring {
  readonly score: Scorer;
  readonly tokenizer: Tokenizer;
  /** Tokens that may be scored at once: of the model's context, as `scoredAtOnce` says. */
  readonly size: number;
}

/** The sampler leaves room for one token that it says. */
export function scoredAtOnce(maxContext: number): number {
  return maxContext - 1;
}

/** Scores by the weights that a sampler has. It always says a token: it is asked for one, and what it says is not looked at. */
export function scorerOf(sampler: Pick<Sampler, 'sample'>): Scorer {
  const plain = { temperature: 0, topK: 0, topP: 1, seed: 0, stopTokens: [], maxTokens: 1 };
  return async (prompt) => {
    const { promptLogProbabilities = [] } = await firstValueFrom(
      sampler.sample({ ...plain, prompt, topPromptLogProbabilities: 0 }),
    );
    return promptLogProbabilities.map(({ logProbability }) => logProbability);
  };
}

/** Tokens behind an end of text, as documents begin in training. */
export function asDocument(tokens: Int32Array, { endOfText }: Pick<Tokenizer, 'endOfText'>): Int32Array {
  const whole = new Int32Array(tokens.length + 1).fill(endOfText);
  whole.set(tokens, 1);
  return whole;
}
