import { bestTokens, likeliest } from './choose-token.ts';

export interface TokenProbability {
  readonly token: number;
  /** Natural logarithm. */
  readonly logProbability: number;
}

/** How likely a token was, and which the likeliest were. */
export interface ChosenProbability extends TokenProbability {
  /** Best first. */
  readonly top: readonly TokenProbability[];
}

/** Log-probabilities by softmax(logits) of a token and of the `top` likeliest ones. */
export function logProbabilities(logits: Float32Array, token: number, top: number): ChosenProbability {
  const greatest = logits[likeliest(logits)] ?? 0;
  const weights = Float64Array.from(logits, (logit) => Math.exp(logit - greatest));
  const logTotal = greatest + Math.log(weights.reduce((total, weight) => total + weight, 0));
  const of = (at: number): TokenProbability => ({ token: at, logProbability: (logits[at] ?? -Infinity) - logTotal });
  return { ...of(token), top: top > 0 ? bestTokens(weights, top).map(of) : [] };
}
