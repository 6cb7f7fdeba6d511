import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { symbolOfByte } from './byte-symbols.ts';
import { ModelError } from '../errors.ts';
import { learnMerges } from './learn-merges.ts';
import type { Merges } from './learn-merges.ts';

/** A standard `tokenizer.json` as far as it is looked into here; all else in it is kept. */
export interface TokenizerFile {
  readonly added_tokens: readonly AddedToken[];
  readonly model: {
    readonly type: 'BPE';
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly unknown[];
  };
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

export const endOfTextToken = '<|endoftext|>';

/** The smallest vocabulary: bytes, with their values as ids, and end of text. */
const baseTokens: readonly string[] = [...symbolOfByte, endOfTextToken];

const id = z.int().nonnegative();
/** Not `z.record`, which loses a token that is spelt `__proto__`. */
const vocabSchema = z.custom<Record<string, number>>(
  (value) => typeof value === 'object' && value !== null && Object.values(value).every((v) => id.safeParse(v).success),
  'must give each token its id',
);
const fileSchema: z.ZodType<TokenizerFile> = z.looseObject({
  added_tokens: z.array(z.looseObject({ id, content: z.string().min(1), special: z.boolean() })),
  model: z.looseObject({ type: z.literal('BPE'), vocab: vocabSchema, merges: z.array(z.unknown()) }),
});

/** The tokenizer whose tokens are the bytes, and end of text, which is 256. */
export function byteTokenizerFile(): TokenizerFile {
  return fileOf({ tokens: baseTokens, merges: [] });
}

/**
 * Learns a byte-level BPE vocabulary from a sample: bytes, end of text, then merges in the order in which they were
 * learnt, so that a smaller vocabulary is the beginning of a larger one. It stays smaller than asked for where the
 * sample holds no more pairs that repeat. The same texts always give the same tokenizer. Takes about 1 s for 2 MB.
 * Throws `tokenizer-invalid` for a vocabulary that cannot even hold the bytes.
 */
export function trainTokenizer(texts: readonly string[], vocabSize: number): TokenizerFile {
  if (!Number.isInteger(vocabSize) || vocabSize < baseTokens.length) {
    const message = `A vocabulary of ${vocabSize} is too small: bytes and end of text need ${baseTokens.length}.`;
    throw new ModelError('tokenizer-invalid', message);
  }
  return fileOf(learnMerges(texts, baseTokens, vocabSize));
}

/** Reads a `tokenizer.json`. Throws `tokenizer-invalid`. */
export function readTokenizerFile(path: string): TokenizerFile {
  try {
    return parseTokenizerFile(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ModelError('tokenizer-invalid', `Cannot read the tokenizer in ${path}: ${why}`, { cause });
  }
}

/**
 * Writes what HF's `tokenizers` and `transformers` read. The file is whole and on the disk, or not there: it is written
 * aside and renamed. The same tokenizer always gives the same bytes.
 */
export function writeTokenizerFile(path: string, file: TokenizerFile): void {
  const aside = `${path}.${process.pid}.tmp`;
  const open = openSync(aside, 'w');
  try {
    writeFileSync(open, `${JSON.stringify(file, null, 1)}\n`);
    fsyncSync(open);
  } finally {
    closeSync(open);
  }
  renameSync(aside, path);
}

/**
 * Proves that a value is a byte-level BPE tokenizer, the only kind that can spell any text. Vocabularies of other makers may
 * lack bytes that text hardly ever has; these are left out of what is encoded, as their own libraries do.
 */
export function parseTokenizerFile(value: unknown): TokenizerFile {
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) {
    const message = `This is no byte-level BPE tokenizer.json:\n${z.prettifyError(parsed.error)}`;
    throw new ModelError('tokenizer-invalid', message);
  }
  const { vocab } = parsed.data.model;
  const missing = symbolOfByte.filter((symbol, byte) => isOfText(byte) && !Object.hasOwn(vocab, symbol)).length;
  if (missing > 0) {
    const message = `The vocabulary lacks the symbols of ${missing} bytes: use a byte-level BPE tokenizer.`;
    throw new ModelError('tokenizer-invalid', message);
  }
  return parsed.data;
}

const WHITE: ReadonlySet<number> = new Set([0x09, 0x0a, 0x0d]);
/** Lead bytes of UTF-8 that begin no character: none at all, or of planes 4 to 11 and 16, where none are given out. */
const LEADS_OF_NOTHING: ReadonlySet<number> = new Set([0xc0, 0xc1, 0xf1, 0xf2]);

/** Whether a byte stands in text but for control characters. */
function isOfText(byte: number): boolean {
  if (byte < 0x20 || byte === 0x7f) return WHITE.has(byte);
  return byte < 0xf4 && !LEADS_OF_NOTHING.has(byte);
}

function fileOf({ tokens, merges }: Merges): TokenizerFile {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const endOfText = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const file = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [{ id: tokens.indexOf(endOfTextToken), content: endOfTextToken, ...endOfText }],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE' as const,
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, index) => [token, index])),
      merges: merges.map(([left, right]) => `${tokens[left]} ${tokens[right]}`),
    },
  };
  return file;
}
