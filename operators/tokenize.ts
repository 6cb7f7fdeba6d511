import { availableParallelism } from 'node:os';
import type { OperatorFunction } from 'rxjs';
import { each } from './each.ts';
import type { Element } from './flow.ts';
import type { Tokenizer } from './ports.ts';
import type { Document, TokenizedDocument } from './types.ts';
import { z } from 'zod';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

export interface TokenizeOptions {
  /** Documents that are tokenized at once; by default as many as there are cores, four at most. */
  readonly threads?: number | 'auto';
}

/** Threads that Node.js has for such work, unless UV_THREADPOOL_SIZE says otherwise. */
const MOST_THREADS = 4;

/**
 * Emits each document as tokens, with the bytes that each token stands for.
 *
 * Order: kept, and the tokens do not depend on how many documents are worked on at once. Backpressure: goes on under the
 * document's bytes. Errors: the tokenizer's end the flow. No state.
 */
export function tokenize(
  tokenizer: Tokenizer,
  { threads = 'auto' }: TokenizeOptions = {},
): OperatorFunction<Element<Document>, Element<TokenizedDocument>> {
  const bytesOf = byteLengths(tokenizer);
  const concurrency = threads === 'auto' ? Math.min(availableParallelism(), MOST_THREADS) : threads;
  return each(
    async ({ text, at, key, timestampMs }) => {
      const tokens = await tokenizer.encode(text);
      const tokenBytes = new Uint16Array(tokens.length);
      tokens.forEach((token, index) => (tokenBytes[index] = bytesOf[token] ?? 0));
      return { tokens, tokenBytes, at, ...(key === undefined ? {} : { key }), timestampMs };
    },
    { concurrency },
  );
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
  config: z.strictObject({
    threads: z
      .union([z.literal('auto'), z.int().positive()])
      .default('auto')
      .describe('Documents that are tokenized at once, each by a thread; auto: one for each core, 4 at most.'),
  }),
  build: (_uid, { threads }, { tokenizer }) => tokenize(tokenizer, { threads }),
});
