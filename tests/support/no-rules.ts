import type { FilterRules } from '../../operators/filtering/settings.ts';

/** Of `filter`, all rules off. */
export const noRules: FilterRules = {
  wordCount: false,
  meanWordLength: false,
  symbolToWordRatio: false,
  bulletLines: false,
  ellipsisLines: false,
  alphabeticWords: false,
  stopWords: false,
  duplicateLines: false,
  duplicateLineCharacters: false,
  duplicateParagraphs: false,
  duplicateParagraphCharacters: false,
  topNGrams: false,
  duplicateNGrams: false,
  terminalPunctuation: false,
  lineWords: false,
  javascript: false,
  sentences: false,
  loremIpsum: false,
  curlyBracket: false,
};
