import type { OperatorFunction } from 'rxjs';
import { each } from './each.ts';
import type { Element } from './flow.ts';
import type { Tokenizer } from './ports.ts';
import type { Cancellation, Prompt, TokenizedPrompt } from './types.ts';
import { z } from 'zod';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

/**
 * Emits each prompt as tokens, behind an end-of-text token, as documents begin in training; cancellations as they are.
 *
 * Order: kept. Backpressure: goes on under the prompt's bytes. Errors: the tokenizer's end the flow. No state.
 */
export function tokenizePrompt(
  tokenizer: Tokenizer,
): OperatorFunction<Element<Prompt | Cancellation>, Element<TokenizedPrompt | Cancellation>> {
  return each(async (asked) => {
    if ('cancels' in asked) return asked;
    const { text, ...prompt } = asked;
    const encoded = await tokenizer.encode(text);
    const tokens = new Int32Array(encoded.length + 1);
    tokens[0] = tokenizer.endOfText;
    tokens.set(encoded, 1);
    return { ...prompt, tokens };
  });
}

export const tokenizePromptKind: OperatorKind = defineKind({
  kind: 'tokenizePrompt',
  summary: "Turns prompts into tokens of the job's tokenizer.",
  input: 'prompt',
  output: 'tokenized-prompt',
  config: z.strictObject({}),
  build: (_uid, _config, { tokenizer }) => tokenizePrompt(tokenizer),
});
