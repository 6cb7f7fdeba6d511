import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import type { CountryCode } from 'libphonenumber-js/max';
import { hitsOf, mergeHits } from './hit.ts';
import type { Finder } from './hit.ts';

const INTERNATIONAL = /(?<![\w+.])\+[1-9](?:[ \u00a0().\-–/]{0,2}\d){6,14}(?![\w]|[.,:]\d)/g;
/** Two groups of digits at least, the first of which may be in brackets. */
const NATIONAL =
  /(?<![\w+.,:/$€£#%=-])(?:\(\d{2,5}\)[ \u00a0]?|\d{1,5}[ \u00a0.\-/])\d{2,8}(?:[ \u00a0.\-–]\d{2,5}){0,3}(?![\w\-/%]|[.,:]\d)/g;

/**
 * Makes a finder of telephone numbers: with `+` and the country's number, or as the given countries write them: in groups,
 * the first of which is the area code. A bare run of digits is none, since more of those are something else.
 */
export function phoneFinder(countries: readonly CountryCode[]): Finder {
  return (text) => {
    const international = text.includes('+')
      ? hitsOf(text, INTERNATIONAL, '<PHONE>', ([number]) => parsePhoneNumberFromString(number)?.isValid() ?? false)
      : [];
    if (countries.length === 0) return international;
    const national = hitsOf(text, NATIONAL, '<PHONE>', ([number]) =>
      countries.some((country) => isNational(number, country)),
    );
    return mergeHits(international, national);
  };
}

function isNational(written: string, country: CountryCode): boolean {
  const length = written.replaceAll(/\D/g, '').length;
  if (length < 8 || length > 14) return false;
  const number = parsePhoneNumberFromString(written, country);
  if (!number?.isValid()) return false;
  const usual = groupsOf(number.formatNational());
  const [first, ...others] = groupsOf(written);
  const groups = first === number.countryCallingCode ? others : [first, ...others];
  return country === 'US' || country === 'CA' ? groups.join(' ') === usual.join(' ') : groups[0] === usual[0];
}

function groupsOf(number: string): readonly string[] {
  return number.match(/\d+/g) ?? [];
}
