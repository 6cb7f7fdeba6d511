import { hitsOf } from './hit.ts';
import type { Hit } from './hit.ts';

/** 13 to 19 digits, with single blanks or dashes between groups; no part of a longer number or name. */
const CANDIDATE = /(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)/g;

/** Beginnings and lengths that issuers use (ISO/IEC 7812). */
const ISSUED: readonly RegExp[] = [
  /^4(?:\d{12}|\d{15}|\d{18})$/, // Visa
  /^(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}$/, // Mastercard
  /^3[47]\d{13}$/, // American Express
  /^(?:6011|64[4-9]\d|65\d{2})\d{12}$/, // Discover
  /^35(?:2[89]|[3-8]\d)\d{12}$/, // JCB
  /^3(?:0[0-5]|[68]\d)\d{11}$/, // Diners Club
  /^62\d{14,17}$/, // UnionPay
];

/** Ways to write them in groups, by lengths. */
const GROUPINGS = new Set(['4-4-4-4', '4-6-5', '4-6-4', '4-4-4-4-3', '6-13']);

/** Numbers of payment cards: an issuer's beginning and length, groups as on cards, and the check digit of Luhn (1960). */
export function findCards(text: string): readonly Hit[] {
  return hitsOf(text, CANDIDATE, '<CARD>', ([number]) => {
    const digits = number.replaceAll(/[ -]/g, '');
    return isGrouped(number) && ISSUED.some((pattern) => pattern.test(digits)) && passesLuhn(digits);
  });
}

function isGrouped(number: string): boolean {
  const separators = new Set(number.replaceAll(/\d/g, ''));
  if (separators.size === 0) return true;
  const lengths = number.split(/[ -]/).map((group) => group.length);
  return separators.size === 1 && GROUPINGS.has(lengths.join('-'));
}

/** Every second digit from the right, but the last, counts twice; the sum of all digits is a multiple of ten. */
function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let place = 0; place < digits.length; place++) {
    const digit = Number(digits[digits.length - 1 - place]);
    const weighed = place % 2 === 1 ? 2 * digit : digit;
    sum += weighed > 9 ? weighed - 9 : weighed;
  }
  return sum % 10 === 0;
}
