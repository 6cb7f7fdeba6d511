import type { OperatorFunction } from 'rxjs';
import { each } from './each.ts';
import type { Element } from './flow.ts';
import type { Tokenizer } from './ports.ts';
import type { Document, TokenizedDocument } from './types.ts';
import { z } from 'zod';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

/**
 * Emits each document as tokens, with the bytes that each token stands for.
 *
 * Order: kept. Backpressure: goes on under the document's bytes. Errors: the tokenizer's end the flow. No state.
 */
export function tokenize(tokenizer: Tokenizer): OperatorFunction<Element<Document>, Element<TokenizedDocument>> {
  const bytesOf = byteLengths(tokenizer);
  return each(async ({ text, at, timestampMs }) => {
    const tokens = await tokenizer.encode(text);
    const tokenBytes = Uint16Array.from(tokens, (token) => bytesOf[token] ?? 0);
    return { tokens, tokenBytes, at, timestampMs };
  });
}

/** Bytes by token; the end-of-text token stands for none. */
function byteLengths(tokenizer: Tokenizer): Uint16Array {
  const lengths = new Uint16Array(tokenizer.vocabSize);
  for (let token = 0; token < tokenizer.vocabSize; token++) {
    if (token !== tokenizer.endOfText) lengths[token] = tokenizer.decode(Int32Array.of(token)).byteLength;
  }
  return lengths;
}

export const tokenizeKind: OperatorKind = defineKind({
  kind: 'tokenize',
  summary: "Turns documents into tokens of the job's tokenizer.",
  input: 'document',
  output: 'tokenized-document',
  config: z.strictObject({}),
  build: (_uid, _config, { tokenizer }) => tokenize(tokenizer),
});
