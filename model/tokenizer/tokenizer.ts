import { Tokenizer as Library } from 'tokenizers';
import { bytesOfToken } from './byte-symbols.ts';
import { ModelError } from '../errors.ts';
import { splitText } from './split-text.ts';
import { endOfTextToken, readTokenizerFile } from './tokenizer-file.ts';
import type { TokenizerFile } from './tokenizer-file.ts';
import type { Tokenizer } from '../types.ts';

/** What tokenizers of other makers call the token between documents, the likeliest first. */
const endOfTextNames = [endOfTextToken, '<|end_of_text|>', '</s>', '<eos>', '<|im_end|>'];

/** The library needs about 100 bytes per character while it encodes, so it gets long texts in parts. */
const maxEncodedLength = 1 << 16;

/** Reads a `tokenizer.json` of byte-level BPE, ours or another maker's. Throws `tokenizer-invalid`. */
export function loadTokenizer(path: string): Tokenizer {
  return createTokenizer(readTokenizerFile(path));
}

/**
 * Makes a byte-level tokenizer: any text is encoded, and decoding gives its UTF-8 bytes back (lone surrogates became
 * U+FFFD; a file of another maker may also normalize, and lack control characters). Special tokens come from nobody's text: text that spells one is
 * encoded as ordinary text, and decoding gives no bytes for them. Throws `tokenizer-invalid`.
 */
export function createTokenizer(file: TokenizerFile): Tokenizer {
  const bytesOf = tokenBytes(file);
  const endOfText = endOfTextOf(file);
  const isPlainBytes = file.model.merges.length === 0 && bytesOf.every((bytes, id) => id > 255 || bytes[0] === id);
  return {
    vocabSize: bytesOf.length,
    endOfText,
    encode: isPlainBytes ? encodeBytes : libraryEncoder(file),
    decode: (tokens) => {
      const parts: Uint8Array[] = [];
      for (const token of tokens) parts.push(bytesOf[token] ?? unknownToken(token, bytesOf.length));
      return Buffer.concat(parts);
    },
  };
}

async function encodeBytes(text: string): Promise<Int32Array> {
  return new Int32Array(Buffer.from(text));
}

function libraryEncoder(file: TokenizerFile): Tokenizer['encode'] {
  const library = openLibrary(file);
  return async (text) => {
    const parts: Int32Array[] = [];
    for (const part of splitText(text, maxEncodedLength)) {
      const encoding = await library.encode(part, null, { addSpecialTokens: false });
      parts.push(new Int32Array(encoding.getIds()));
    }
    return concat(parts);
  };
}

/**
 * The library finds added tokens in any text. So the special ones are hidden from it: they stay in the vocabulary, to
 * keep all ids, but no merge makes them.
 */
function openLibrary(file: TokenizerFile): Library {
  const vocab = {
    ...file.model.vocab,
    ...Object.fromEntries(file.added_tokens.map(({ content, id }) => [content, id])),
  };
  const hidden = {
    ...file,
    added_tokens: file.added_tokens.filter((token) => !token.special),
    post_processor: null,
    truncation: null,
    padding: null,
    model: { ...file.model, vocab },
  };
  try {
    return Library.fromString(JSON.stringify(hidden));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ModelError('tokenizer-invalid', `The tokenizers library refuses this tokenizer.json: ${why}`, { cause });
  }
}

/** Bytes of each token by id; none for special tokens and for ids that nothing has. */
export function tokenBytes({ added_tokens: added, model }: TokenizerFile): readonly Uint8Array[] {
  const bytesOf: Uint8Array[] = [];
  for (const [token, id] of Object.entries(model.vocab)) bytesOf[id] = bytesOfToken(token) ?? Buffer.from(token);
  for (const { id, content, special } of added) bytesOf[id] = special ? new Uint8Array() : Buffer.from(content);
  return Array.from(bytesOf, (bytes) => bytes ?? new Uint8Array());
}

/** Id of the token between documents. Throws `tokenizer-invalid` where there is none. */
export function endOfTextOf({ added_tokens: added }: TokenizerFile): number {
  for (const name of endOfTextNames) {
    const found = added.find(({ content, special }) => special && content === name);
    if (found) return found.id;
  }
  const message = `The tokenizer has no end-of-text token: add a special token named ${endOfTextToken}.`;
  throw new ModelError('tokenizer-invalid', message);
}

function unknownToken(token: number, vocabSize: number): never {
  throw new ModelError('tokenizer-invalid', `Token ${token} is none of the ${vocabSize}: use the model's tokenizer.`);
}

function concat(parts: readonly Int32Array[]): Int32Array {
  const [first] = parts;
  if (first && parts.length === 1) return first;
  const whole = new Int32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
