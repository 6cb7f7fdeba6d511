import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeGguf } from '../../model/interchange/gguf-file.ts';
import { ggufTokenizer } from '../../model/interchange/gguf-tokenizer.ts';
import { parseTokenizerFile, trainTokenizer } from '../../model/tokenizer/tokenizer-file.ts';
import type { TokenizerFile } from '../../model/tokenizer/tokenizer-file.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-gguf-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

test('a file has its facts, places and tensors where version 3 wants them', async () => {
  const path = join(scratch, 'model.gguf');
  const [matrix, gains] = [Uint16Array.of(1, 2, 3, 4, 5, 6), Float32Array.of(0.5)];
  await writeGguf(
    path,
    new Map([
      ['a', { type: 'uint32', value: 7 }],
      ['b', { type: 'strings', value: ['é', ''] }],
      ['c', { type: 'bool', value: true }],
      ['d', { type: 'int32s', value: [-1] }],
    ]),
    new Map([
      ['m', { dtype: 'F16', shape: [2, 3], take: () => matrix }],
      ['g', { dtype: 'F32', shape: [1], take: () => gains }],
    ]),
  );
  const hex = [
    ['47475546', '03000000', u64(2), u64(4)],
    [u64(1), '61', '04000000', '07000000'],
    [u64(1), '62', '09000000', '08000000', u64(2), u64(2), 'c3a9', u64(0)],
    [u64(1), '63', '07000000', '01'],
    [u64(1), '64', '09000000', '05000000', u64(1), 'ffffffff'],
    // The innermost size comes first.
    [u64(1), '6d', '02000000', u64(3), u64(2), '01000000', u64(0)],
    [u64(1), '67', '01000000', u64(1), '00000000', u64(32)],
  ];
  const header = hex.flat().join('').length / 2;
  const start = Math.ceil(header / 32) * 32;
  const bytes = readFileSync(path);
  expect(bytes.subarray(0, header).toString('hex')).toBe(hex.flat().join(''));
  expect(bytes).toHaveLength(start + 64);
  expect(bytes.subarray(start, start + 12)).toEqual(Buffer.from(matrix.buffer));
  expect(bytes.readFloatLE(start + 32)).toBe(0.5);
});

function u64(value: number): string {
  return `${value.toString(16).padStart(2, '0')}${'00'.repeat(7)}`;
}

describe('a tokenizer', () => {
  const file = trainTokenizer(['the mill turns the mill'], 262);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  const splitBy = (splitter: unknown): TokenizerFile => parseTokenizerFile({ ...file, pre_tokenizer: splitter });
  const sequence = (first: unknown, own: boolean): TokenizerFile =>
    splitBy({ type: 'Sequence', pretokenizers: [first, { ...byteLevel, use_regex: own }] });
  test.each([
    ['gpt-2', splitBy({ ...byteLevel, use_regex: true })],
    ['smollm', sequence({ type: 'Digits', individual_digits: true }, true)],
    ['qwen2', sequence(words(String.raw`\p{N}`), false)],
    ['llama-bpe', sequence(words(String.raw`\p{N}{1,3}`), false)],
  ])('splits text as %s does', (name, tokenizer) => {
    const facts = ggufTokenizer(tokenizer, 256);
    expect(facts.get('tokenizer.ggml.pre')).toEqual({ type: 'string', value: name });
    expect(facts.get('tokenizer.ggml.merges')?.value).toEqual(file.model.merges);
    expect(facts.get('tokenizer.ggml.tokens')?.value).toHaveLength(262);
  });

  test.each([
    ['a prefix', splitBy({ ...byteLevel, add_prefix_space: true })],
    ['digits in threes only', sequence(words(String.raw`\p{N}{3}`), false)],
    ['no splitting', splitBy(null)],
  ])('is refused that splits it in a way without a name: %s', (_how, tokenizer) => {
    expect(() => ggufTokenizer(tokenizer, 256)).toThrow(/no name for how this tokenizer splits text/);
  });
});

function words(digits: string): unknown {
  const Regex = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
  return { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false };
}
