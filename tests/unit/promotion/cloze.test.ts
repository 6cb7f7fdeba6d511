import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { passRateOf, readCloze } from '../../../pipelines/promotion/cloze.ts';
import type { Scorer } from '../../../pipelines/promotion/cloze.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';

/** The same for every token of a text, by what the text ends in. */
function scorer(perToken: (text: string) => number): Scorer {
  return async (tokens) => {
    expect(tokens[0]).toBe(byteTokenizer.endOfText);
    const text = Buffer.from(byteTokenizer.decode(tokens)).toString();
    return Array.from(tokens.subarray(1), () => perToken(text));
  };
}

const ITEM = { prompt: 'We the', answer: 'people', wrong: ['oven', 'x'] };

test('the shipped items each have an answer and three others', () => {
  const items = readCloze('shipped');
  expect(items.map(({ answer }) => answer)).toEqual(['family', 'FBI', 'Futurama']);
  expect(items.map(({ wrong }) => wrong.length)).toEqual([3, 3, 3]);
  expect(readCloze('none')).toEqual([]);
});

test('length does not decide: a choice is as likely as its bytes are on average', async () => {
  const evenly = scorer((text) => (text.endsWith(' people') ? -1 : -1.1));
  expect(await passRateOf([ITEM], byteTokenizer, evenly)).toBe(1);
  const shortest = scorer((text) => (text.endsWith(' x') ? -0.9 : -1));
  expect(await passRateOf([ITEM], byteTokenizer, shortest)).toBe(0);
});

test('an answer that is only as likely as another is not right, and only what stands behind the prompt counts', async () => {
  const alike = scorer(() => -1);
  expect(await passRateOf([ITEM], byteTokenizer, alike)).toBe(0);
  const counted: Scorer = async (tokens) => {
    const text = Buffer.from(byteTokenizer.decode(tokens)).toString();
    const behind = text.length - ITEM.prompt.length;
    const isRight = text.endsWith('people');
    return Array.from(tokens.subarray(1), (_, at) => (at < ITEM.prompt.length ? (isRight ? -9 : 0) : -1 / behind));
  };
  expect(await passRateOf([ITEM, { ...ITEM, answer: 'x', wrong: ['people'] }], byteTokenizer, counted)).toBe(0.5);
  expect(await passRateOf([], byteTokenizer, alike)).toBeNull();
});

test('a file of items is read line by line, and one that is none is named', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-cloze-'));
  try {
    const path = join(folder, 'items.jsonl');
    await writeFile(path, `${JSON.stringify(ITEM)}\n\n`);
    expect(readCloze(path)).toEqual([ITEM]);
    await writeFile(path, `${JSON.stringify(ITEM)}\n{"prompt": "We the"}\n`);
    expect(() => readCloze(path)).toThrow('Line 2');
    expect(() => readCloze(join(folder, 'none.jsonl'))).toThrow("can't be read");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
