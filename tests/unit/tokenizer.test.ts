import * as fc from 'fast-check';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer as Library } from 'tokenizers';
import { afterAll, expect, test } from 'vitest';
import { symbolOfByte } from '../../model/tokenizer/byte-symbols.ts';
import { learnMerges } from '../../model/tokenizer/learn-merges.ts';
import { respellingOf } from '../../model/tokenizer/respelling.ts';
import { splitText } from '../../model/tokenizer/split-text.ts';
import {
  byteTokenizerFile,
  parseTokenizerFile,
  trainTokenizer,
  writeTokenizerFile,
} from '../../model/tokenizer/tokenizer-file.ts';
import { createTokenizer, loadTokenizer } from '../../model/tokenizer/tokenizer.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-tokenizer-'));
const path = join(folder, 'tokenizer.json');
afterAll(() => rmSync(folder, { recursive: true }));

const sample =
  'The mill grinds while the water runs, and the miller sleeps.\n\nThe water does not wait; the mill does.\n' +
  "It's the miller's wheel that we'll mend: 12 paddles, 1,200 nails. Das Mühlrad klappert. 水磨坊的水流动不停。\n水";
const file = trainTokenizer([sample], 280);
const bpe = createTokenizer(file);
const bytes = createTokenizer(byteTokenizerFile());
const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...sample.split('')) }));

test.each([
  ['bytes', bytes],
  ['BPE', bpe],
])('%s: decoding gives back the bytes of any text', async (_, tokenizer) => {
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      const tokens = await tokenizer.encode(text);
      expect(Buffer.from(tokenizer.decode(tokens)).equals(Buffer.from(text))).toBe(true);
      expect(tokens.every((token) => token < tokenizer.vocabSize && token !== tokenizer.endOfText)).toBe(true);
    }),
  );
});

test('has bytes as the first 256 tokens, end of text behind them, merges last', async () => {
  expect(bytes).toMatchObject({ vocabSize: 257, endOfText: 256 });
  expect(await bytes.encode('Mü')).toEqual(Int32Array.of(0x4d, 0xc3, 0xbc));
  expect(bpe).toMatchObject({ vocabSize: 280, endOfText: 256 });
  expect(await bpe.encode(' the water')).toHaveLength(3);
  expect(bpe.decode(Int32Array.of(0xff, 256, 0x41))).toEqual(Buffer.from([0xff, 0x41]));
});

test('encodes text that spells the end-of-text token as ordinary text', async () => {
  const text = 'a<|endoftext|>b';
  const tokens = await bpe.encode(text);
  expect(tokens).not.toContain(bpe.endOfText);
  expect(Buffer.from(bpe.decode(tokens)).toString()).toBe(text);
});

test('training twice gives the same file, and a smaller vocabulary is the beginning of a larger one', () => {
  expect(trainTokenizer([sample], 280)).toEqual(file);
  const smaller = Object.entries(trainTokenizer([sample], 270).model.vocab);
  expect(Object.entries(file.model.vocab).slice(0, 270)).toEqual(smaller);
});

test('stays smaller than asked for where no pair repeats', () => {
  expect(createTokenizer(trainTokenizer(['abcd'], 1000)).vocabSize).toBe(257);
  expect(createTokenizer(trainTokenizer([], 1000)).vocabSize).toBe(257);
});

test('learns the merges that counting everything anew each time gives', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), (words) => {
      const learnt = learnMerges(words, symbolOfByte, 276);
      expect(learnt).toEqual(mergesByCountingAnew(words, 276));
    }),
  );
});

test('the parts of a long text are tokenized to the tokens of the whole', async () => {
  const whole = Library.fromString(JSON.stringify(file));
  const pieces = fc.constantFrom(
    ' ',
    '  ',
    '\n',
    '\r\n',
    '\t',
    '\u00a0',
    'mill',
    'Das',
    '水',
    '12',
    "'s",
    '.',
    ', ',
    'é',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), async (list, minLength) => {
      const text = list.join('');
      const parts = [...splitText(text, minLength)];
      expect(parts.join('')).toBe(text);
      const ids = await Promise.all(parts.map(async (part) => (await whole.encode(part)).getIds()));
      expect(ids.flat()).toEqual((await whole.encode(text)).getIds());
    }),
  );
  expect([...splitText('the mill grinds', 2)]).toEqual(['the', ' mill', ' grinds']);
});

test('encodes a text of many parts without loss', async () => {
  const text = sample.repeat(1500);
  expect(Buffer.from(bpe.decode(await bpe.encode(text))).toString()).toBe(text);
});

test('saves a file that loads as the same tokenizer, here and in the library', async () => {
  writeTokenizerFile(path, file);
  const text = 'The miller mends the wheel.\n\n  水';
  const tokens = await bpe.encode(text);
  expect(await loadTokenizer(path).encode(text)).toEqual(tokens);
  const library = Library.fromFile(path);
  expect((await library.encode(text)).getIds()).toEqual([...tokens]);
  expect(await library.decode([...tokens, bpe.endOfText], true)).toBe(text);
  expect(library.tokenToId('<|endoftext|>')).toBe(bpe.endOfText);
});

test('takes files of other makers: special tokens beyond the vocabulary, ordinary added tokens', async () => {
  const endOfText = file.model.vocab['<|endoftext|>'];
  const { '<|endoftext|>': _, ...vocab } = file.model.vocab;
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const foreign = parseTokenizerFile({
    ...file,
    added_tokens: [
      { id: endOfText, content: '<pad>', special: true, ...plain },
      { id: 280, content: '</s>', special: true, ...plain },
      { id: 281, content: '<tool>', special: false, ...plain },
    ],
    model: { ...file.model, vocab },
  });
  const tokenizer = createTokenizer(foreign);
  expect(tokenizer).toMatchObject({ vocabSize: 282, endOfText: 280 });
  const tokens = await tokenizer.encode('the<tool></s>');
  const before = await bpe.encode('the');
  expect(tokens.slice(0, before.length + 1)).toEqual(Int32Array.of(...before, 281));
  expect(tokens).not.toContain(280);
  expect(Buffer.from(tokenizer.decode(tokens)).toString()).toBe('the<tool></s>');
});

test.each<[string, () => unknown]>([
  ['a file that is not there', () => loadTokenizer(join(folder, 'none.json'))],
  ['no JSON', () => (writeFileSync(path, '{'), loadTokenizer(path))],
  ['another kind of model', () => parseTokenizerFile({ ...file, model: { ...file.model, type: 'Unigram' } })],
  ['an id that is no number', () => parseTokenizerFile({ ...file, model: { ...file.model, vocab: { a: 'b' } } })],
  ['a vocabulary without all bytes', () => parseTokenizerFile({ ...file, model: { ...file.model, vocab: { a: 0 } } })],
  ['no end of text', () => createTokenizer({ ...file, added_tokens: [] })],
  ['merges of unknown tokens', () => createTokenizer({ ...file, model: { ...file.model, merges: ['no such'] } })],
  ['a vocabulary below the bytes', () => trainTokenizer([sample], 256)],
  ['a token beyond the vocabulary', () => bpe.decode(Int32Array.of(280))],
])('reports tokenizer-invalid for %s', (_, act) => {
  expect(act).toThrow(expect.objectContaining({ code: 'tokenizer-invalid' }));
});

test('takes a vocabulary that lacks control characters, and leaves them out', async () => {
  const entries = Object.entries(file.model.vocab).filter(([, id]) => id !== 4 && id !== 0xf1);
  const lacking = parseTokenizerFile({ ...file, model: { ...file.model, vocab: Object.fromEntries(entries) } });
  const tokenizer = createTokenizer(lacking);
  expect(Buffer.from(tokenizer.decode(await tokenizer.encode('a\u0004b 🏴󠁧󠁢󠁥󠁮󠁧󠁿\n'))).toString()).toBe('ab 🏴󠁧󠁢󠁥󠁮󠁧󠁿\n');
  const { spelled } = respellingOf(file, lacking);
  expect([spelled[4], spelled[97]]).toEqual([[], [97]]);
});

test('writes the same bytes for the same tokenizer', () => {
  writeTokenizerFile(path, file);
  const first = readFileSync(path);
  writeTokenizerFile(path, trainTokenizer([sample], 280));
  expect(readFileSync(path).equals(first)).toBe(true);
});

/** The definition, without any bookkeeping. Words are of letters only, each a line of its own. */
function mergesByCountingAnew(words: readonly string[], vocabSize: number): ReturnType<typeof learnMerges> {
  const tokens = [...symbolOfByte];
  const merges: [number, number][] = [];
  let split = words.map((word) => [...Buffer.from(word)]);
  while (tokens.length < vocabSize) {
    const counts = new Map<string, number>();
    for (const ids of split) {
      ids.slice(1).forEach((right, at) => {
        const key = `${ids[at]} ${right}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      });
    }
    const ranked = [...counts]
      .filter(([, count]) => count > 1)
      .map(([key, count]) => ({ pair: key.split(' ').map(Number), count }))
      .toSorted(
        (a, b) => b.count - a.count || (a.pair[0] ?? 0) - (b.pair[0] ?? 0) || (a.pair[1] ?? 0) - (b.pair[1] ?? 0),
      );
    const [left, right] = ranked[0]?.pair ?? [];
    if (left === undefined || right === undefined) break;
    const spelling = `${tokens[left]}${tokens[right]}`;
    const known = tokens.indexOf(spelling);
    const id = known < 0 ? tokens.push(spelling) - 1 : known;
    if (!merges.some(([a, b]) => a === left && b === right)) merges.push([left, right]);
    split = split.map((ids) =>
      ids.reduce<number[]>((done, next) => {
        if (next === right && done.at(-1) === left) done.splice(-1, 1, id);
        else done.push(next);
        return done;
      }, []),
    );
  }
  return { tokens, merges };
}
