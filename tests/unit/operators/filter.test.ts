import * as fc from 'fast-check';
import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { filter } from '../../../operators/filter.ts';
import type { FilterOptions } from '../../../operators/filter.ts';
import { NGrams } from '../../../operators/filtering/n-grams.ts';
import { repeatedShares } from '../../../operators/filtering/page.ts';
import { filterSchema } from '../../../operators/filtering/settings.ts';
import type { FilterRules } from '../../../operators/filtering/settings.ts';
import type { Document } from '../../../operators/types.ts';
import { TestSource, asStored, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';
import { noRules } from '../../support/no-rules.ts';
import { MemoryDeadLetters, deadLettersThatFail } from '../../support/memory-stores.ts';

const source = new TestSource();
const at = { topic: 'text', partition: 0, offset: 1 };

function document(text: string): Document {
  return { text, byteCount: Buffer.byteLength(text), at, timestampMs: 5 };
}

const PUBLISHED = filterSchema.parse({});

/** What becomes of a text, and what was counted. */
async function filtered(text: string, options: FilterOptions): Promise<{ text: string | null; counts: object }> {
  const flow = from([source.item(document(text)), source.tick(1)]).pipe(filter(options));
  const output = await lastValueFrom(flow.pipe(toArray()));
  const [result] = valuesOf(output);
  expect(result?.byteCount ?? 0).toBe(Buffer.byteLength(result?.text ?? ''));
  const [counts = {}] = output.flatMap((each) => (each.kind === 'tick' ? [each.counts?.['filter'] ?? {}] : []));
  return { text: result?.text ?? null, counts };
}

/** Whether a rule alone, as it is published or as given, lets a text pass. */
async function passes<K extends keyof FilterRules>(
  rule: K,
  text: string,
  setting: FilterRules[K] = PUBLISHED[rule],
): Promise<boolean> {
  const { text: left, counts } = await filtered(text, { ...noRules, [rule]: setting });
  expect(counts).toEqual(left === null ? { dropped: { [rule]: 1 } } : { kept: { documents: 1 } });
  return left !== null;
}

const words = (count: number, word = 'word'): string =>
  Array.from({ length: count }, (_, n) => `${word}${n}`).join(' ');
const lines = (count: number, line: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => line(n)).join('\n');

describe('the rules of Gopher, at their published thresholds', () => {
  it.each([
    // 50 to 100,000 words (A.1.1).
    ['wordCount', words(50), words(49)],
    ['wordCount', words(100_000), words(100_001)],
    // A mean of 3 to 10 characters.
    ['meanWordLength', 'abc abcd ab', 'abc abc ab'],
    ['meanWordLength', 'abcdefghij abcdefghij', 'abcdefghij abcdefghijk'],
    // At most one hash, or one ellipsis, for ten words: each by itself.
    ['symbolToWordRatio', `# ${words(8)} so…`, `# # ${words(8)}`],
    ['symbolToWordRatio', `${words(9)} so...`, `${words(8)} so...`],
    // At most 90 % of lines begin with a bullet, 30 % end with an ellipsis; empty lines are none.
    ['bulletLines', `${lines(9, (n) => ` - ${n}`)}\n\nlast`, `${lines(10, (n) => `• ${n}`)}\nlast`],
    ['ellipsisLines', lines(10, (n) => (n < 3 ? 'a...' : 'b')), lines(10, (n) => (n < 4 ? 'a…' : 'b'))],
    // 80 % of words have a letter.
    ['alphabeticWords', 'a1 é ж 中 5', 'a1 é ж 4 5'],
    // Two different of the eight words.
    ['stopWords', 'The cat, "and" the dog', 'the the the cat then to2gether'],
    // Fractions of lines and paragraphs that repeat: 0.3, by characters 0.2.
    ['duplicateLines', lines(10, (n) => `${Math.max(3, n)}`), lines(10, (n) => `${Math.max(4, n)}`)],
    ['duplicateParagraphs', lines(10, (n) => `${Math.max(3, n)}\n`), lines(10, (n) => `${Math.max(4, n)}\n`)],
    ['duplicateLineCharacters', 'ab\nab\nabcdef', 'ab\nab\nabcde'],
    ['duplicateParagraphCharacters', 'ab\n\nab\n\nabcdef', 'ab\n\n \n\nab\n\nabcde'],
    // Table A1: the top 2-gram 0.20: "a b" twice is 4 of 20 characters, or of 19.
    ['topNGrams', 'a b cdefgh a b ijklmnopqr', 'a b cdefgh a b ijklmnopq'],
    // The top 3-gram 0.18, and the top 4-gram 0.16, are not reached by one that occurs once.
    ['topNGrams', 'once and only once', 'a b c xxxxxxxx a b c yyyyyyyyyy zzz'],
    // Duplicate 5-grams 0.15: the second "a b c d e" is 5 of 34 characters, or of 33.
    [
      'duplicateNGrams',
      `a b c d e ${'x'.repeat(12)} a b c d e ${'y'.repeat(12)}`,
      `a b c d e ${'x'.repeat(11)} a b c d e ${'y'.repeat(12)}`,
    ],
    // Duplicate 10-grams 0.10: 10 of 100 characters, or of 99.
    [
      'duplicateNGrams',
      `a b c d e f g h i j ${'x'.repeat(40)} a b c d e f g h i j ${'y'.repeat(40)}`,
      `a b c d e f g h i j ${'x'.repeat(40)} a b c d e f g h i j ${'y'.repeat(39)}`,
    ],
  ] as const)('%s (case %#)', async (rule, good, bad) => {
    expect(await passes(rule, good)).toBe(true);
    expect(await passes(rule, bad)).toBe(false);
  });

  it('are on where nothing is said, and let through what people write', async () => {
    const text = `${words(60, 'thing')} that the people of the States have, and to be with them.`;
    expect((await filtered(text, {})).text).toBe(text);
    expect((await filtered('too short', {})).counts).toEqual({ dropped: { wordCount: 1 } });
    expect((await filtered('too short', { wordCount: { min: 1, max: 9 }, stopWords: false })).text).toBe('too short');
  });
});

describe('the rules of C4', () => {
  const page =
    'One good sentence with words. And\nThis line ends well, it does!\nMENU\nUse Javascript to see this page.\n\n"She said yes to it all."\nAnd so on and on ...';

  it('takes out lines, and counts them by rule', async () => {
    const options = { ...noRules, terminalPunctuation: true, lineWords: 5, javascript: true };
    expect(await filtered(page, options)).toEqual({
      text: 'This line ends well, it does!\n\n"She said yes to it all."',
      counts: { kept: { documents: 1 }, 'taken out': { terminalPunctuation: 3, javascript: 1 } },
    });
    expect(await filtered('MENU\n\nHOME', options)).toEqual({
      text: null,
      counts: { dropped: { empty: 1 }, 'taken out': { terminalPunctuation: 2 } },
    });
    expect((await filtered('Yes.\nNo words here, or too few.', { ...noRules, lineWords: 5 })).text).toBe(
      'No words here, or too few.',
    );
  });

  it.each([
    ['loremIpsum', true, 'lorem of ipsum', 'Lorem Ipsum dolor'],
    ['curlyBracket', true, '(a)', 'if (a) {'],
    ['sentences', 3, 'One. "Two!" (Three?)', 'One. Two costs 3.50 or so'],
  ] as const)('%s', async (rule, setting, good, bad) => {
    expect(await passes(rule, good, setting)).toBe(true);
    expect(await passes(rule, bad, setting)).toBe(false);
    expect(await passes(rule, bad)).toBe(true);
  });
});

describe('language', () => {
  it.each([
    ['en', 'Failed to load the module, since there is no such file'],
    ['de', 'Die Bundesregierung hat heute beschlossen, nichts zu tun'],
    ['fr', 'Le gouvernement a décidé de ne rien faire'],
    ['es', 'El gobierno decidió no hacer nada'],
    ['ru', 'Правительство решило ничего не делать'],
    ['ja', '政府は何もしないことに決めた'],
  ])('%s is told apart', async (language, text) => {
    expect((await filtered(text, { ...noRules, languages: [language] })).text).toBe(text);
    expect(await filtered(text, { ...noRules, languages: ['nl'] })).toEqual({
      text: null,
      counts: { dropped: { languages: 1 } },
    });
  });
});

describe('shares of repetitions, beside a plain way to count them', () => {
  const some = fc.array(fc.constantFrom('a', 'bb', 'ccc', 'dddd'), { maxLength: 40 });

  it('are those of n-grams: of the most frequent, and of all that occurred before', () => {
    fc.assert(
      fc.property(some, fc.integer({ min: 1, max: 6 }), (list, n) => {
        const grams = list
          .slice(0, Math.max(0, list.length - n + 1))
          .map((_, start) => list.slice(start, start + n).join(' '));
        const shareOf = (covers: (start: number) => boolean): number => {
          const covered = list.filter((_, word) =>
            grams.some((_gram, start) => covers(start) && start <= word && word < start + n),
          );
          return list.length === 0 ? 0 : covered.join('').length / list.join('').length;
        };
        const countOf = (gram: string): number => grams.filter((each) => each === gram).length;
        const most = Math.max(0, ...grams.map(countOf));
        const shares = grams
          .filter((gram) => countOf(gram) === most)
          .map((gram) => shareOf((start) => grams[start] === gram));
        const nGrams = new NGrams(list);
        expect(nGrams.topShare(n)).toBeCloseTo(most < 2 ? 0 : Math.max(...shares), 12);
        expect(nGrams.repeatedShare(n)).toBeCloseTo(
          shareOf((start) => grams.indexOf(grams[start] ?? '') < start),
          12,
        );
        // What the rule for duplicates relies on.
        expect(nGrams.repeatedShare(n + 1)).toBeLessThanOrEqual(nGrams.repeatedShare(n));
      }),
    );
  });

  it('are those of lines and paragraphs', () => {
    fc.assert(
      fc.property(some, (list) => {
        const repeated = list.filter((each, place) => list.indexOf(each) < place);
        const shares = repeatedShares(list);
        expect(shares.parts * list.length).toBeCloseTo(repeated.length, 9);
        expect(shares.characters * list.join('').length).toBeCloseTo(repeated.join('').length, 9);
      }),
    );
  });
});

describe('filter', () => {
  const options = { ...noRules, curlyBracket: true, lineWords: 1 } as const;
  const kept = { kept: { documents: 1 } };
  const both = { ...kept, dropped: { curlyBracket: 1 } };

  it('lets marks pass with what was counted, drops, and lets go of the source', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const values = {
        a: source.item(document('good'), 4),
        x: source.item(document('{bad}'), 5),
        r: source.restore(),
        t: source.tick(1),
        b: source.barrier(),
      };
      const expected = {
        ...values,
        a: { ...values.a, counts: { filter: kept } },
        t: { ...values.t, counts: { filter: both } },
        b: { ...source.barrier({ filter: { state: both } }), counts: { filter: both } },
      };
      const flow = cold('                                 raxtb-|', values);
      expectObservable(flow.pipe(filter(options))).toBe(' ra-tb-|', expected);
      expectSubscriptions(flow.subscriptions).toBe('      ^-----!');
      expectObservable(cold('a-#', values).pipe(filter(options))).toBe('a-#', expected);
      const endless = cold('a--a', values);
      expectObservable(endless.pipe(filter(options)), '^-!').toBe('a--', expected);
      expectSubscriptions(endless.subscriptions).toBe('^-!');
    });
  });

  it('goes on counting from a cut, and gives the bytes of what it drops back', async () => {
    const local = new TestSource();
    const barrier = local.barrier();
    const bad = (): ReturnType<typeof local.taken<Document>> => local.taken(document('{bad}'), 5);
    await lastValueFrom(from([bad(), barrier]).pipe(filter(options), toArray()));
    const flow = from([local.restore(asStored(barrier.basket)), bad(), local.tick(1)]);
    const output = await lastValueFrom(flow.pipe(filter(options), toArray()));
    expect(output.at(-1)).toMatchObject({ counts: { filter: { dropped: { curlyBracket: 2 } } } });
    expect(local.window.inFlightBytes).toBe(0);
  });

  it('sends what it drops to the dead letters where it is asked to, and goes no further where they fail', async () => {
    const deadLetters = new MemoryDeadLetters();
    const flow = from([source.item(document('{bad}')), source.item(document('good'))]);
    const output = await lastValueFrom(flow.pipe(filter({ ...options, deadLetters }), toArray()));
    expect(valuesOf(output).map(({ text }) => text)).toEqual(['good']);
    expect(deadLetters.letters).toEqual([
      {
        at,
        key: null,
        value: Buffer.from('{bad}'),
        code: 'document-filtered',
        message: expect.stringContaining('curlyBracket'),
      },
    ]);
    const failing = flow.pipe(filter({ ...options, deadLetters: deadLettersThatFail }));
    await expect(lastValueFrom(failing)).rejects.toMatchObject({ code: 'dead-letter-failed' });
  });
});
