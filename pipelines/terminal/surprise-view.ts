import type { PublishedAlert, PublishedSurprise } from '../topics/published.ts';
import { count, cut, oneLine, printable } from './format.ts';
import type { Style } from './style.ts';

/** Columns of a document's text that are shown. */
const SNIPPET = 160;

/** `text/0@17  4.21 bits/byte  +6.3 σ (99.9 %)  " panic" 20.3, "0x" 14.1`. */
export function surpriseLine(record: PublishedSurprise, style: Style): string {
  const { at, bitsPerByte, sigma, percentile, tokens } = record;
  const rank = sigma === null ? [] : [`${signed(sigma)} σ (${figureOf(percentile)} %)`];
  const told = tokens.map(({ text, bits }) => `${named(text)} ${bits.toFixed(1)}`);
  const parts = [`${at.topic}/${at.partition}@${at.offset}`, `${bitsPerByte.toFixed(2)} bits/byte`, ...rank];
  return `${style.bold(parts.join('  '))}  ${style.dim(told.join(', '))}`.trimEnd();
}

/** A document among the most surprising ones: its place, its figures, and its text beneath. */
export function topLines(place: number, record: PublishedSurprise, text: string | null, style: Style): string {
  const shown = text === null ? style.dim('(the record is no longer there)') : cut(oneLine(text), SNIPPET);
  return `${String(place).padStart(2)}. ${surpriseLine(record, style)}\n    ${shown}\n`;
}

export function alertLine({ rule, state, message }: PublishedAlert, style: Style): string {
  const line = `alert ${printable(rule)} ${state}  ${printable(message)}`;
  return state === 'raised' ? style.warn(line) : line;
}

/** How many documents there were to choose from. */
export function topHead(documents: number, shown: number): string {
  if (documents === 0) return 'No document has a rank yet: they have once 100 of their topic were examined.\n';
  return `The ${count(shown)} most surprising of ${count(documents)} documents, by σ above those before them:\n`;
}

function named(text: string): string {
  return text === '' ? 'the end' : JSON.stringify(printable(text));
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;
}

function figureOf(value: number | null): string {
  return value === null ? '–' : value.toFixed(1);
}
