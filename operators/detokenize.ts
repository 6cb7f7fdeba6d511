import { TextDecoder } from 'node:util';
import { defer } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { each } from './each.ts';
import type { Element } from './flow.ts';
import type { Tokenizer } from './ports.ts';
import type { TextDelta, TokenDelta } from './types.ts';
import { z } from 'zod';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

/**
 * Emits each token delta as text. A character whose bytes come in several deltas is held back until it is whole; bytes
 * that never become one are replaced by U+FFFD at the answer's end.
 *
 * Order: kept; one text delta per token delta, empty where it only began a character. Backpressure: goes on under the
 * delta's bytes. Errors: none. State: begun characters; not in cuts, since answers begin anew after a restart.
 */
export function detokenize(tokenizer: Tokenizer): OperatorFunction<Element<TokenDelta>, Element<TextDelta>> {
  return (flow) =>
    defer(() => {
      const decoders = new Map<string, TextDecoder>();
      return flow.pipe(
        each(({ tokens, ...delta }): TextDelta => {
          // By their prompts, since two of them may bear the same id.
          const prompt = `${delta.at.topic}/${delta.at.partition}/${delta.at.offset}`;
          const decoder = delta.index === 0 ? undefined : decoders.get(prompt);
          const current = decoder ?? new TextDecoder('utf-8', { ignoreBOM: true });
          const text = current.decode(tokenizer.decode(tokens), { stream: delta.finish === null });
          if (delta.finish === null) decoders.set(prompt, current);
          else decoders.delete(prompt);
          return { event: 'generation', ...delta, text };
        }),
      );
    });
}

export const detokenizeKind: OperatorKind = defineKind({
  kind: 'detokenize',
  summary: 'Turns token deltas into text, whole characters only.',
  input: 'token-delta',
  output: 'text-delta',
  config: z.strictObject({}),
  build: (_uid, _config, { tokenizer }) => detokenize(tokenizer),
});
