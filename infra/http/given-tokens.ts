import type { Tokenizer } from '../../operators/ports.ts';
import { ApiError } from './api-error.ts';

/** Tokens that a client gives in a field. Throws an `ApiError` for one that the vocabulary does not have. */
export function givenTokens(tokens: readonly number[], { vocabSize }: Tokenizer, param: string): Int32Array {
  const wrong = tokens.find((token) => token >= vocabSize);
  if (wrong === undefined) return Int32Array.from(tokens);
  throw new ApiError(400, `The vocabulary has ${vocabSize} tokens, so ${wrong} is none.`, { param });
}
