import { totalsOf } from '../../operators/counts.ts';
import type { Counts } from '../../operators/counts.ts';
import type { PartitionLag } from '../job/events.ts';

/** Numbers and texts as people read them. */

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** `12,345`. */
export function count(value: number): string {
  return grouped.format(value);
}

/** `1 record`, `2 records`. */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** ` (text/1 900)`: the partition that is furthest behind, where there are several; else nothing. */
export function worstLag(lags: readonly PartitionLag[]): string {
  const [worst] = lags.toSorted((one, other) => other.lag - one.lag);
  return worst && worst.lag > 0 && lags.length > 1 ? ` (${worst.topic}/${worst.partition} ${count(worst.lag)})` : '';
}

/** `dropped 120, redacted 7`: over all operators; what was kept says nothing to who watches. */
export function countsInWords(counts: Counts): string {
  const told = [...totalsOf(counts)].filter(([what]) => what !== 'kept');
  return told.map(([what, total]) => `${printable(what)} ${count(total)}`).join(', ');
}

/** `512 B`, `1.5 KB`, `10.3 MB`; units of 1024, as everywhere in Millrace. */
export function size(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  // What would be rounded to 1,024 is one of the next unit.
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? count(value) : value.toFixed(1)} ${units[unit]}`;
}

/** The two largest units at most: `0.4 s`, `12 s`, `3 m 20 s`, `2 h 5 m`, `4 d 1 h`. */
export function duration(ms: number): string {
  if (ms < 9950) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([amount]) => amount > 0);
  const shown = parts.slice(first, first + 2).filter(([amount], index) => index === 0 || amount > 0);
  return shown.map(([amount, unit]) => `${amount} ${unit}`).join(' ');
}

/** `12 s ago`, in whole seconds, since it is redrawn as it grows. */
export function age(ms: number): string {
  return ms < 9950 ? `${Math.floor(Math.max(0, ms) / 1000)} s` : duration(ms);
}

/** Bits per byte, or another figure of that size: `1.443`. */
export function figure(value: number | null): string {
  return value === null ? '–' : value.toFixed(3);
}

/** Bits per byte now and overall: `1.943 bits/byte (2.104 overall)`, or `1.943 bpb (2.104)`. */
export function figures(now: number | null, overall: number | null, isShort: boolean = false): string {
  return isShort ? `${figure(now)} bpb (${figure(overall)})` : `${figure(now)} bits/byte (${figure(overall)} overall)`;
}

/** A learning rate: `3.0e-4`. */
export function rate(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}

/**
 * Text that cannot command a terminal: control characters, which a model or a stranger's record may well hold, are shown
 * as pictures. Line breaks and tabs stay.
 */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(/\p{Cc}/gu, (char) => {
    if (char === '\n' || char === '\t') return char;
    return char < ' ' ? String.fromCharCode(0x2400 + char.charCodeAt(0)) : '\u2421';
  });
}

/** Text on one line. */
export function oneLine(text: string): string {
  return printable(text).replaceAll(/\s+/g, ' ').trim();
}

/** The first `columns` columns of one line; wide characters, as of Chinese, count two. */
export function cut(line: string, columns: number): string {
  let width = 0;
  let result = '';
  for (const char of line) {
    width += isWide(char) ? 2 : 1;
    if (width > columns) return result;
    result += char;
  }
  return result;
}

function isWide(char: string): boolean {
  return /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uff01-\uff60]/u.test(
    char,
  );
}

/** Columns as wide as their widest cell, under their titles if there are any; the last is not padded. */
export function table(titles: readonly string[] | null, rows: readonly (readonly string[])[]): string {
  const all = titles ? [titles, ...rows] : rows;
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return all.map((row) => `${line(row).trimEnd()}\n`).join('');
}
