import { endOfTextOf, tokenBytes } from './tokenizer.ts';
import type { TokenizerFile } from './tokenizer-file.ts';

/** A token of a new vocabulary: the one of the old vocabulary with the same bytes, or those that spell it there. */
export type OldTokens = number | readonly number[];

/** How what one tokenizer has made is read by another. JSON can carry it. */
export interface Respelling {
  /** By token of the new vocabulary. */
  readonly rows: readonly OldTokens[];
  /** By token of the old vocabulary: tokens of the new one with the same bytes. */
  readonly spelled: readonly (readonly number[])[];
  /** Bytes of each token of the new vocabulary. */
  readonly bytes: readonly number[];
  readonly endOfText: number;
}

/**
 * Tokens are the same where their bytes are, and end of text is end of text; others are spelled by the longest tokens that
 * fit, from the front, which any vocabulary that has the bytes can do; a byte that it lacks is spelled by nothing. Special tokens that the other has not are spelled by
 * nothing.
 */
export function respellingOf(from: TokenizerFile, to: TokenizerFile): Respelling {
  const [old, next] = [tokenBytes(from), tokenBytes(to)];
  const [oldEnd, endOfText] = [endOfTextOf(from), endOfTextOf(to)];
  const oldSpeller = speller(old);
  const nextSpeller = speller(next);
  const rows = next.map((bytes, token): OldTokens => {
    if (token === endOfText) return oldEnd;
    const parts = oldSpeller(bytes);
    const [first] = parts;
    return first !== undefined && parts.length === 1 ? first : parts;
  });
  const spelled = old.map((bytes, token) => (token === oldEnd ? [endOfText] : nextSpeller(bytes)));
  return { rows, spelled, bytes: next.map(({ byteLength }) => byteLength), endOfText };
}

function speller(vocabulary: readonly Uint8Array[]): (bytes: Uint8Array) => readonly number[] {
  const tokens = new Map<string, number>();
  for (const [token, bytes] of vocabulary.entries()) {
    const key = keyOf(bytes);
    if (bytes.byteLength > 0 && !tokens.has(key)) tokens.set(key, token);
  }
  const longest = Math.max(...vocabulary.map(({ byteLength }) => byteLength));
  return (bytes) => {
    const spelled: number[] = [];
    for (let at = 0; at < bytes.byteLength;) {
      let length = Math.min(longest, bytes.byteLength - at);
      while (length > 1 && !tokens.has(keyOf(bytes.subarray(at, at + length)))) length -= 1;
      const token = tokens.get(keyOf(bytes.subarray(at, at + length)));
      if (token !== undefined) spelled.push(token);
      at += length;
    }
    return spelled;
  };
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
