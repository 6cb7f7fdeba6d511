import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { ModelError } from '../errors.ts';
import type { TokenizerFile } from '../tokenizer/tokenizer-file.ts';
import { tokenBytes } from '../tokenizer/tokenizer.ts';
import type { GgufValue } from './gguf-file.ts';

/** llama.cpp's kinds of tokens, as far as they are here. */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/**
 * A tokenizer as the facts of a GGUF file. Throws `tokenizer-invalid` where text is split in a way that llama.cpp has no name
 * for. Documents begin with the end-of-text token here, so a reader is told to put it in front.
 */
export function ggufTokenizer(file: TokenizerFile, endOfText: number): ReadonlyMap<string, GgufValue> {
  const { vocab } = file.model;
  const size = tokenBytes(file).length;
  const tokens = Array.from({ length: size }, (_, id) => `[unused ${id}]`);
  const kinds = Array.from({ length: size }, () => UNUSED);
  for (const [token, id] of Object.entries(vocab)) {
    tokens[id] = token;
    kinds[id] = NORMAL;
  }
  for (const { id, content, special } of file.added_tokens) {
    tokens[id] = content;
    kinds[id] = special ? CONTROL : USER_DEFINED;
  }
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: splitName(file) }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'int32s', value: kinds }],
    ['tokenizer.ggml.merges', { type: 'strings', value: mergesOf(file) }],
    ['tokenizer.ggml.bos_token_id', { type: 'uint32', value: endOfText }],
    ['tokenizer.ggml.eos_token_id', { type: 'uint32', value: endOfText }],
    ['tokenizer.ggml.padding_token_id', { type: 'uint32', value: endOfText }],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: true }],
  ]);
}

const mergeSchema = z.union([z.string(), z.tuple([z.string(), z.string()])]);

/** Older files have `a b`, newer ones `["a", "b"]`. No symbol of a byte is a space. */
function mergesOf({ model }: TokenizerFile): readonly string[] {
  return model.merges.map((merge) => {
    const parsed = mergeSchema.parse(merge);
    return typeof parsed === 'string' ? parsed : parsed.join(' ');
  });
}

/** The words of a pattern that most have in common, with how many digits go together. */
function wordPattern(digits: string): string {
  return String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
}

const PATTERNS: ReadonlyMap<string, string> = new Map([
  [wordPattern(String.raw`\p{N}{1,3}`), 'llama-bpe'],
  [wordPattern(String.raw`\p{N}`), 'qwen2'],
]);

const splitterSchema = z.looseObject({
  type: z.string(),
  pattern: z.object({ Regex: z.string() }).optional(),
  behavior: z.string().optional(),
  individual_digits: z.boolean().optional(),
  use_regex: z.boolean().optional(),
  add_prefix_space: z.boolean().optional(),
  pretokenizers: z.array(z.unknown()).optional(),
});
type Splitter = z.output<typeof splitterSchema>;
const fileSchema = z.looseObject({ pre_tokenizer: splitterSchema.nullish() });

/** llama.cpp's name of how a tokenizer splits text before it merges. */
function splitName(file: TokenizerFile): string {
  const root = fileSchema.safeParse(file).data?.pre_tokenizer;
  const parts =
    root?.type === 'Sequence' ? (root.pretokenizers ?? []).map((part) => splitterSchema.parse(part)) : [root];
  const name = nameOf(parts.flatMap((part) => part ?? []));
  if (name !== null) return name;
  const message = `llama.cpp has no name for how this tokenizer splits text (pre_tokenizer in tokenizer.json), so its tokens would be others there. Export the Hugging Face folder instead.`;
  throw new ModelError('tokenizer-invalid', message);
}

function nameOf(parts: readonly Splitter[]): string | null {
  const bytes = parts.at(-1);
  if (bytes?.type !== 'ByteLevel' || bytes.add_prefix_space === true) return null;
  const kinds = parts.map(({ type }) => type);
  const usesOwnPattern = bytes.use_regex !== false;
  if (isDeepStrictEqual(kinds, ['ByteLevel'])) return usesOwnPattern ? 'gpt-2' : null;
  const [first] = parts;
  if (isDeepStrictEqual(kinds, ['Digits', 'ByteLevel'])) {
    return usesOwnPattern && first?.individual_digits === true ? 'smollm' : null;
  }
  const isSplit = isDeepStrictEqual(kinds, ['Split', 'ByteLevel']) && first?.behavior === 'Isolated' && !usesOwnPattern;
  return isSplit ? (PATTERNS.get(first.pattern?.Regex ?? '') ?? null) : null;
}
