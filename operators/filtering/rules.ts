import { repeatedShares, shareOf } from './page.ts';
import type { Page } from './page.ts';
import type { FilterRules, Range, RunLimits } from './settings.ts';

/** A reason to drop a document. */
export interface Rule {
  readonly name: keyof FilterRules;
  isBroken(page: Page): boolean;
}

/** The words of which Gopher wants two. */
const STOP_WORDS: ReadonlySet<string> = new Set(['the', 'be', 'to', 'of', 'and', 'that', 'have', 'with']);
const BULLET = /^[•‣▪◦●*-]/;
const ELLIPSIS = /(?:\.\.\.|…)$/;
/** Ends of sentences, also inside of quotes and brackets. */
const SENTENCE_END = /[.!?…]["'”’»)\]]*(?=\s|$)/g;

/** The rules that are on, cheap ones first; the first one that is broken is the reason. */
export function rulesOf(settings: FilterRules): readonly Rule[] {
  const rules: Rule[] = [];
  const add = <K extends keyof FilterRules>(
    name: K,
    isBroken: (page: Page, setting: Exclude<FilterRules[K], false>) => boolean,
  ): void => {
    const setting = settings[name];
    if (isOn(setting)) rules.push({ name, isBroken: (page) => isBroken(page, setting) });
  };

  add('loremIpsum', ({ text }) => /lorem ipsum/i.test(text));
  add('curlyBracket', ({ text }) => text.includes('{'));
  add('sentences', ({ text }, least) => (text.match(SENTENCE_END)?.length ?? 0) < least);
  add('wordCount', ({ words }, range) => isOutside(words.length, range));
  add('meanWordLength', ({ words }, range) => {
    const characters = words.reduce((sum, { length }) => sum + length, 0);
    return words.length > 0 && isOutside(characters / words.length, range);
  });
  add('symbolToWordRatio', ({ text, words }, most) =>
    [/#/g, /\.\.\.|…/g].some((symbol) => (text.match(symbol)?.length ?? 0) > most * words.length),
  );
  add('bulletLines', ({ lines }, most) => shareOf(lines, (line) => BULLET.test(line)) > most);
  add('ellipsisLines', ({ lines }, most) => shareOf(lines, (line) => ELLIPSIS.test(line)) > most);
  add(
    'alphabeticWords',
    ({ words }, least) =>
      words.length > 0 && shareOf(words, (word) => /[a-z]/i.test(word) || /\p{L}/u.test(word)) < least,
  );
  add('stopWords', ({ words }, least) => !hasStopWords(words, least));
  add('duplicateLines', ({ lines }, most) => repeatedShares(lines).parts > most);
  add('duplicateLineCharacters', ({ lines }, most) => repeatedShares(lines).characters > most);
  add('duplicateParagraphs', ({ paragraphs }, most) => repeatedShares(paragraphs).parts > most);
  add('duplicateParagraphCharacters', ({ paragraphs }, most) => repeatedShares(paragraphs).characters > most);
  add('topNGrams', ({ nGrams }, limits) =>
    Object.entries(limits).some(([n, limit]) => nGrams.topShare(Number(n)) > limit),
  );
  add('duplicateNGrams', (page, limits) => hasDuplicates(page, limits));
  return rules;
}

function isOn<T>(setting: T): setting is Exclude<T, false> {
  return setting !== false;
}

function isOutside(value: number, { min, max }: Range): boolean {
  return value < min || value > max;
}

function hasStopWords(words: readonly string[], least: number): boolean {
  const found = new Set<string>();
  for (const word of words) {
    // The longest has four letters; beside them may be quotes and commas.
    if (word.length > 8) continue;
    const bare = word.toLowerCase().replaceAll(/[^a-z]/g, '');
    if (STOP_WORDS.has(bare) && found.add(bare).size >= least) return true;
  }
  return found.size >= least;
}

function hasDuplicates({ nGrams }: Page, limits: RunLimits): boolean {
  const least = Math.min(...Object.values(limits));
  // A record's whole numbers come in their order.
  for (const [n, limit] of Object.entries(limits)) {
    const share = nGrams.repeatedShare(Number(n));
    if (share > limit) return true;
    // Longer runs cover no more.
    if (share <= least) return false;
  }
  return false;
}
