import type { Tokenizer } from '../../operators/ports.ts';

/** A token per byte of UTF-8, and one for the end of a text. */
export const byteTokenizer: Tokenizer = {
  vocabSize: 257,
  endOfText: 256,
  encode: async (text) => Int32Array.from(Buffer.from(text)),
  decode: (tokens) => Uint8Array.from(tokens.filter((token) => token < 256)),
};
