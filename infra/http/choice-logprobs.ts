import type { ChosenProbability, TokenProbability } from '../../model/log-probabilities.ts';
import type { Tokenizer } from '../../operators/ports.ts';
import type { SpokenToken } from './answer-text.ts';

/* Log-probabilities in the two forms of OpenAI's API. */

export interface CompletionLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly (number | null)[];
  readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[];
  /** Characters of the choice's text before each token. */
  readonly text_offset: readonly number[];
}

export interface ChatLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface ChatLogprobs {
  readonly content: readonly (ChatLogprob & { readonly top_logprobs: readonly ChatLogprob[] })[];
}

export function completionLogprobs(tokens: readonly SpokenToken[], tokenizer: Tokenizer): CompletionLogprobs {
  const text = (id: number): string => new TextDecoder().decode(tokenizer.decode(Int32Array.of(id)));
  const topOf = ({ top }: ChosenProbability): Record<string, number> =>
    Object.fromEntries(top.map(({ token, logProbability }) => [text(token), logProbability]));
  return {
    tokens: tokens.map(({ id }) => text(id)),
    token_logprobs: tokens.map(({ chosen }) => chosen?.logProbability ?? null),
    top_logprobs: tokens.map(({ chosen }) => (chosen ? topOf(chosen) : null)),
    text_offset: tokens.map(({ offset }) => offset),
  };
}

/** A prompt's tokens as if they had been spoken. */
export function promptAsSpoken(probabilities: readonly ChosenProbability[], tokenizer: Tokenizer): SpokenToken[] {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let offset = 0;
  return probabilities.map((chosen) => {
    const spoken = { id: chosen.token, offset, chosen };
    offset += decoder.decode(tokenizer.decode(Int32Array.of(chosen.token)), { stream: true }).length;
    return spoken;
  });
}

export function chatLogprobs(tokens: readonly SpokenToken[], tokenizer: Tokenizer): ChatLogprobs {
  const shown = ({ token, logProbability }: TokenProbability): ChatLogprob => {
    const bytes = tokenizer.decode(Int32Array.of(token));
    return { token: new TextDecoder().decode(bytes), logprob: logProbability, bytes: Array.from(bytes) };
  };
  const chosen = tokens.flatMap((token) => token.chosen ?? []);
  return { content: chosen.map((each) => ({ ...shown(each), top_logprobs: each.top.map(shown) })) };
}
