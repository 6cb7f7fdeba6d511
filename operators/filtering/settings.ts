import { z } from 'zod';

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** By the number of words of a run, the share of a text's characters that such runs may cover. */
export type RunLimits = Readonly<Record<string, number>>;

/**
 * Rules and their thresholds, of Gopher (Rae et al. 2021, appendix A.1.1 and table A1) and of C4 (Raffel et al. 2020, section
 * 2.2). False where a rule is off.
 */
export interface FilterRules {
  readonly wordCount: Range | false;
  readonly meanWordLength: Range | false;
  readonly symbolToWordRatio: number | false;
  readonly bulletLines: number | false;
  readonly ellipsisLines: number | false;
  readonly alphabeticWords: number | false;
  readonly stopWords: number | false;
  readonly duplicateLines: number | false;
  readonly duplicateLineCharacters: number | false;
  readonly duplicateParagraphs: number | false;
  readonly duplicateParagraphCharacters: number | false;
  readonly topNGrams: RunLimits | false;
  readonly duplicateNGrams: RunLimits | false;
  readonly terminalPunctuation: boolean;
  readonly lineWords: number | false;
  readonly javascript: boolean;
  readonly sentences: number | false;
  readonly loremIpsum: boolean;
  readonly curlyBracket: boolean;
}

export interface FilterSettings extends FilterRules {
  /** Of which a document must be in one; none: any. */
  readonly languages: readonly string[];
  /** Whether documents that are dropped become dead letters. */
  readonly deadLetters: boolean;
}

const off = z.literal(false);
const fraction = z.union([off, z.number().min(0).max(1)]);
const whole = z.union([off, z.int().positive()]);
const between = (min: number, max: number): z.ZodType<Range | false> =>
  z.union([off, z.strictObject({ min: z.number().min(0).default(min), max: z.number().min(0).default(max) })]);
const runLimits: z.ZodType<RunLimits | false> = z.union([
  off,
  z.record(z.string().regex(/^[1-9]\d?$/, 'must be a number of words'), z.number().min(0).max(1)),
]);

/** Gopher's rules are on as they are published; C4's, which are for pages of the web, are off. */
export const filterSchema: z.ZodType<FilterSettings> = z.strictObject({
  wordCount: between(50, 100_000).default({ min: 50, max: 100_000 }).describe('Gopher: words.'),
  meanWordLength: between(3, 10).default({ min: 3, max: 10 }).describe('Gopher: characters of a word, on average.'),
  symbolToWordRatio: fraction.default(0.1).describe('Gopher: at most so many `#`, or ellipses, for each word.'),
  bulletLines: fraction.default(0.9).describe('Gopher: at most this share of lines begins with a bullet.'),
  ellipsisLines: fraction.default(0.3).describe('Gopher: at most this share of lines ends with an ellipsis.'),
  alphabeticWords: fraction.default(0.8).describe('Gopher: at least this share of words has a letter.'),
  stopWords: z
    .union([off, z.int().min(1).max(8)])
    .default(2)
    .describe('Gopher: at least so many of the, be, to, of, and, that, have, with. For English.'),
  duplicateLines: fraction.default(0.3).describe('Gopher: at most this share of lines repeats an earlier one.'),
  duplicateLineCharacters: fraction.default(0.2).describe('Gopher: the same, by characters.'),
  duplicateParagraphs: fraction
    .default(0.3)
    .describe('Gopher: at most this share of paragraphs repeats an earlier one.'),
  duplicateParagraphCharacters: fraction.default(0.2).describe('Gopher: the same, by characters.'),
  topNGrams: runLimits
    .default({ 2: 0.2, 3: 0.18, 4: 0.16 })
    .describe(
      'Gopher: by n, the share of characters that the most frequent run of n words may cover, if it occurs twice.',
    ),
  duplicateNGrams: runLimits
    .default({ 5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1 })
    .describe('Gopher: by n, the share of characters that may be in runs of n words which have occurred before.'),
  terminalPunctuation: z
    .boolean()
    .default(false)
    .describe('C4: takes out lines that end in none of `.`, `!`, `?` and a closing quote.'),
  lineWords: whole.default(false).describe('C4 (5): takes out lines of fewer words.'),
  javascript: z.boolean().default(false).describe('C4: takes out lines that mention JavaScript.'),
  sentences: whole.default(false).describe('C4 (3): at least so many sentences.'),
  loremIpsum: z.boolean().default(false).describe('C4: no "lorem ipsum".'),
  curlyBracket: z.boolean().default(false).describe('C4: no `{`.'),
  languages: z
    .array(z.string().regex(/^[a-z]{2}$/, 'must be two letters, such as en'))
    .default([])
    .describe('In one of these languages (ISO 639-1); in any where there is none.'),
  deadLetters: z.boolean().default(false).describe('Sends what is dropped to the dead letters.'),
});
