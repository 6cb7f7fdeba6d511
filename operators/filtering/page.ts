import { NGrams } from './n-grams.ts';

/** A text as the rules look at it; each view is made when the first rule asks for it. */
export class Page {
  readonly text: string;
  #words: readonly string[] | null = null;
  #lines: readonly string[] | null = null;
  #paragraphs: readonly string[] | null = null;
  #nGrams: NGrams | null = null;

  constructor(text: string) {
    this.text = text;
  }

  /** What stands between blanks. */
  get words(): readonly string[] {
    this.#words ??= this.text.match(/\S+/g) ?? [];
    return this.#words;
  }

  /** Runs of words. */
  get nGrams(): NGrams {
    this.#nGrams ??= new NGrams(this.words);
    return this.#nGrams;
  }

  /** Without blanks around them, and without empty ones. */
  get lines(): readonly string[] {
    this.#lines ??= partsOf(this.text, '\n');
    return this.#lines;
  }

  /** Stand between empty lines. */
  get paragraphs(): readonly string[] {
    this.#paragraphs ??= partsOf(this.text, /\n\s*\n/);
    return this.#paragraphs;
  }
}

function partsOf(text: string, separator: string | RegExp): readonly string[] {
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** The share of all for which something holds; 0 of none. */
export function shareOf<T>(all: readonly T[], holds: (each: T) => boolean): number {
  return all.length === 0 ? 0 : all.filter(holds).length / all.length;
}

/** Shares that are repetitions of an earlier one: of the parts, and of their characters. */
export function repeatedShares(parts: readonly string[]): { readonly parts: number; readonly characters: number } {
  const seen = new Set<string>();
  let repeated = 0;
  let repeatedCharacters = 0;
  let characters = 0;
  for (const part of parts) {
    characters += part.length;
    if (seen.size < seen.add(part).size) continue;
    repeated += 1;
    repeatedCharacters += part.length;
  }
  return characters === 0
    ? { parts: 0, characters: 0 }
    : { parts: repeated / parts.length, characters: repeatedCharacters / characters };
}
