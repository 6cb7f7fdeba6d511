import { getCountrySpecifications, isValidIBAN } from 'ibantools';
import type { Hit } from './hit.ts';

const BEGINNING = /(?<![A-Za-z0-9])([A-Z]{2})\d{2}(?= ?[A-Z0-9])/g;

const specifications: Readonly<Record<string, { readonly chars: number | null } | undefined>> =
  getCountrySpecifications();

/**
 * International bank account numbers (ISO 13616): of the length and form of their country, with a right checksum. Written
 * together or with single blanks.
 */
export function findIbans(text: string): readonly Hit[] {
  const hits: Hit[] = [];
  let free = 0;
  for (const { index: start, 1: country = '' } of text.matchAll(BEGINNING)) {
    const length = specifications[country]?.chars;
    if (!length || start < free) continue;
    const end = endOf(text, start, length);
    if (end === null || !isValidIBAN(text.slice(start, end).replaceAll(' ', ''))) continue;
    free = end;
    hits.push({ start, end, placeholder: '<IBAN>' });
  }
  return hits;
}

/** Where so many letters and digits end; null where something else comes first, or more of them follow. */
function endOf(text: string, start: number, length: number): number | null {
  let at = start;
  for (let count = 0; count < length; count++, at++) {
    if (count > 0 && text[at] === ' ') at += 1;
    if (!isLetterOrDigit(text[at])) return null;
  }
  return isLetterOrDigit(text[at]) ? null : at;
}

function isLetterOrDigit(char: string | undefined): boolean {
  return char !== undefined && /[A-Za-z0-9]/.test(char);
}
