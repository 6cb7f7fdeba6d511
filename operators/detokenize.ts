import { defer } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { each } from './each.ts';
import type { Element } from './flow.ts';
import { HeldText } from './held-text.ts';
import type { Tokenizer } from './ports.ts';
import type { TextDelta, TokenDelta } from './types.ts';
import { z } from 'zod';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

/**
 * Emits each token delta as text. A character whose bytes come in several deltas is held back until it is whole, and what
 * may become a stop string of its prompt until it is certain, see `HeldText`; nothing of a stop string is shown, nor of what
 * is behind it.
 *
 * Order: kept; one text delta per token delta, empty where all of it is held back. Backpressure: goes on under the
 * delta's bytes. Errors: none. State: what is held back; not in cuts, since answers begin anew after a restart.
 */
export function detokenize(tokenizer: Tokenizer): OperatorFunction<Element<TokenDelta>, Element<TextDelta>> {
  return (flow) =>
    defer(() => {
      const texts = new Map<string, HeldText>();
      return flow.pipe(
        each(({ tokens, stop = [], ...delta }): TextDelta => {
          // By their prompts, since two of them may bear the same id.
          const prompt = `${delta.at.topic}/${delta.at.partition}/${delta.at.offset}`;
          const begun = delta.index === 0 ? undefined : texts.get(prompt);
          const current = begun ?? new HeldText(tokenizer, stop);
          current.add(tokens);
          const { text } = current.take(delta.finish !== null);
          if (delta.finish === null) texts.set(prompt, current);
          else texts.delete(prompt);
          return { event: 'generation', ...delta, text };
        }),
      );
    });
}

export const detokenizeKind: OperatorKind = defineKind({
  kind: 'detokenize',
  summary: 'Turns token deltas into text: whole characters only, and nothing of a stop string.',
  input: 'token-delta',
  output: 'text-delta',
  config: z.strictObject({}),
  build: (_uid, _config, { tokenizer }) => detokenize(tokenizer),
});
