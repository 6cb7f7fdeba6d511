import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { choicesBehind } from '../../../pipelines/evaluation/choice-item.ts';
import type { ChoiceItem } from '../../../pipelines/evaluation/choice-item.ts';
import { figuresOfChoices } from '../../../pipelines/evaluation/choice-figures.ts';
import { readChoices, readCloze } from '../../../pipelines/evaluation/read-choices.ts';
import type { Scorer } from '../../../pipelines/evaluation/scorer.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-choices-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function fileOf(...lines: readonly unknown[]): Promise<string> {
  const path = join(folder, 'items.jsonl');
  await writeFile(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return path;
}

/** The only item of a file with one line. */
async function itemIn(line: unknown): Promise<ChoiceItem | undefined> {
  return readChoices(await fileOf(line), 'auto').items[0];
}

describe('readChoices', () => {
  const asked = 'Question: Why?\nAnswer:';

  test.each([
    ['answer by index', { question: 'Why?', choices: ['so', 'no'], answer: 1 }, 1],
    ['answer in letters', { question: 'Why?', choices: ['so', 'no'], answer: 'B' }, 1],
    ['answer by itself', { question: 'Why?', choices: ['so', 'no'], answer: 'no' }, 1],
    ['labels', { question: 'Why?', choices: { text: ['so', 'no'], label: ['1', '2'] }, answerKey: '1' }, 0],
    ['a stem', { question_stem: 'Why?', choices: { text: ['so', 'no'], label: ['A', 'B'] }, answerKey: 'B' }, 1],
    ['solutions', { goal: 'Why?', sol1: 'so', sol2: 'no', label: 0 }, 0],
  ])('reads a question: %s', async (_, line, answer) => {
    expect(await itemIn(line)).toEqual({ choices: choicesBehind(asked, ['so', 'no']), answer });
  });

  test('reads endings, and cloze items, whose answer stands first', async () => {
    const endings = await itemIn({ ctx: 'He', endings: ['ran', 'sang'], label: '1', activity_label: 'x' });
    expect(endings).toEqual({ choices: choicesBehind('He', ['ran', 'sang']), answer: 1 });
    const cloze = await itemIn({ prompt: 'We the', answer: 'people', wrong: ['oven'] });
    expect(cloze?.choices.map(({ continuation }) => continuation)).toEqual([' people', ' oven']);
    expect(cloze?.answer).toBe(0);
  });

  test('reads a gap: the contexts differ, and what follows is the same', async () => {
    const line = { sentence: 'The cup fits as _ is small.', option1: 'it', option2: 'the box', answer: '2' };
    expect(await itemIn(line)).toEqual({
      choices: [
        { context: 'The cup fits as it', continuation: ' is small.' },
        { context: 'The cup fits as the box', continuation: ' is small.' },
      ],
      answer: 1,
    });
  });

  test('parts a choice from its context by one space, unless there is one', () => {
    const parted = [choicesBehind('a', ['b']), choicesBehind('a\n', ['b']), choicesBehind('a', [' b'])];
    expect(parted.map(([choice]) => choice?.continuation)).toEqual([' b', 'b', ' b']);
  });

  test('names the line that is no item, and what is wrong with it', async () => {
    const good = { question: 'Why?', choices: ['so', 'no'], answer: 0 };
    const cases: readonly (readonly [unknown, RegExp])[] = [
      ['{', /Line 3 of .*not JSON/],
      [{ ...good, answer: 2 }, /Line 3 of .*its answer 2 is none of its 2 choices/],
      [{ ...good, answer: undefined }, /Line 3 of .*neither answer nor answerKey/],
      [{ ...good, choices: ['so'] }, /Line 3 of .*choices/s],
    ];
    for (const [line, message] of cases) {
      const path = await fileOf(good, '', line);
      expect(() => readChoices(path, 'auto')).toThrow(message);
    }
  });

  test('takes all lines to be of the format of the first, or of the one that is named', async () => {
    const path = await fileOf({ ctx: 'He', endings: ['ran', 'sang'], label: 1 });
    expect(() => readChoices(path, 'cloze')).toThrow('Line 1');
    const unknown = await fileOf({ input: 'He', output: 'ran' });
    expect(() => readChoices(unknown, 'auto')).toThrow(/fields of no format.*cloze: /s);
    const nothing = await fileOf('', ' ');
    expect(() => readChoices(nothing, 'auto')).toThrow('no items');
    expect(() => readChoices(join(folder, 'none'), 'auto')).toThrow("can't be read");
  });

  test('the shipped cloze items each have an answer and three others', () => {
    const { items } = readCloze('shipped');
    const right = items.map(({ choices, answer }) => choices[answer]?.continuation);
    expect(right).toEqual([' family', ' FBI', ' Futurama']);
    expect(items.map(({ choices }) => choices.length)).toEqual([4, 4, 4]);
    expect(readCloze('none').items).toEqual([]);
  });
});

/** By the text of all that is scored, and the token's place in it. */
function scorerBy(likelihood: (text: string, at: number) => number): Scorer {
  return async (tokens) => {
    expect(tokens[0]).toBe(byteTokenizer.endOfText);
    const text = Buffer.from(byteTokenizer.decode(tokens)).toString();
    return Array.from(tokens.subarray(1), (_, at) => likelihood(text, at));
  };
}

function figures(items: readonly ChoiceItem[], likelihood: (text: string, at: number) => number, size = 64) {
  return figuresOfChoices(items, { score: scorerBy(likelihood), tokenizer: byteTokenizer, size });
}

function itemOf(right: string, ...wrong: readonly string[]): ChoiceItem {
  return { choices: choicesBehind('We the', [right, ...wrong]), answer: 0 };
}

describe('figuresOfChoices', () => {
  test('length does not decide where it is taken into account', async () => {
    const evenly = await figures([itemOf('people', 'x')], (text) => (text.endsWith(' people') ? -1 : -1.1));
    expect(evenly).toMatchObject({ items: 1, accuracy: 0, accuracyPerByte: 1, accuracyPerCharacter: 1 });
    const shortest = await figures([itemOf('people', 'x')], (text) => (text.endsWith(' x') ? -0.5 : -1));
    expect(shortest).toMatchObject({ accuracy: 0, accuracyPerByte: 0, accuracyPerCharacter: 0 });
  });

  test('a character is one whatever its bytes are, and the parting space none', async () => {
    // 4 bytes, 3 of them of 1 character, against 3 bytes of 2 characters: −4 and −3.3 in all.
    const spoken = await figures([itemOf('€', 'ab')], (text) => (text.includes('€') ? -1 : -1.1));
    expect(spoken).toMatchObject({ accuracy: 0, accuracyPerByte: 1, accuracyPerCharacter: 0 });
  });

  test('what a choice is worth by itself is taken off', async () => {
    const spoken = await figures([itemOf('rare', 'many')], (text) =>
      !text.startsWith('We the') && text.includes('rare') ? -9 : -2,
    );
    expect(spoken).toMatchObject({ accuracy: 0, accuracyUnconditional: 1 });
  });

  test('only what stands behind the context counts, and what is only as likely is not right', async () => {
    const alike = await figures([itemOf('one', 'two')], () => -1);
    expect(alike).toMatchObject({ accuracy: 0, accuracyPerByte: 0, accuracyPerCharacter: 0, accuracyUnconditional: 0 });
    const context = 'We the'.length;
    const own = await figures([itemOf('one', 'two')], (text, at) =>
      at < context ? (text.endsWith('one') ? -9 : 0) : text.endsWith('one') ? -1 : -2,
    );
    expect(own.accuracy).toBe(1);
  });

  test('a context of any length is cut from its beginning', async () => {
    const long = { choices: choicesBehind('x'.repeat(500), ['yes', 'no']), answer: 0 };
    const lengths: number[] = [];
    const score: Scorer = async (tokens) => {
      lengths.push(tokens.length);
      return Array.from(tokens.subarray(1), (token) => (token === 'o'.charCodeAt(0) ? -9 : -1));
    };
    const spoken = await figuresOfChoices([long], { score, tokenizer: byteTokenizer, size: 16 });
    expect(spoken.accuracy).toBe(1);
    expect(Math.max(...lengths)).toBe(16);
  });

  test('no items, no shares; a likelihood that is no number is not right', async () => {
    expect(await figures([], () => -1)).toMatchObject({ items: 0, accuracy: null, accuracyPerByte: null });
    expect(await figures([itemOf('a', 'b')], () => Number.NaN)).toMatchObject({ accuracy: 0 });
  });
});
