import { placeOf } from '../dead-letters/letters.ts';
import type { Letter } from '../dead-letters/letters.ts';
import { textOf } from '../topics/published.ts';
import { age, cut, oneLine, printable, size, table } from './format.ts';
import { inBase64, valueToJson } from './record-view.ts';

/** Columns of a message in the list. */
const MESSAGE_COLUMNS = 60;
const SHOWN_BYTES = 4096;
const BYTES_A_ROW = 16;

export interface SeenLetter {
  readonly letter: Letter;
  /** When it was replayed last, or null. */
  readonly replayedAtMs: number | null;
}

export function letterTable(letters: readonly SeenLetter[], nowMs: number): string {
  const rows = letters.map(({ letter, replayedAtMs }) => [
    letter.id,
    `${age(nowMs - letter.timestampMs)} ago`,
    letter.code,
    placeOf(letter),
    letter.value === null ? '–' : size(letter.value.byteLength),
    replayedAtMs === null ? 'no' : `${age(nowMs - replayedAtMs)} ago`,
    cut(oneLine(letter.message), MESSAGE_COLUMNS),
  ]);
  return table(['letter', 'buried', 'code', 'record', 'size', 'replayed', 'why'], rows);
}

/** One line of JSON; the value only where it is wanted, since it may be megabytes. */
export function letterJson({ letter, replayedAtMs }: SeenLetter, withValue: boolean): string {
  const { id, at, code, message, timestampMs, key, value } = letter;
  return `${JSON.stringify({
    id,
    timestamp: new Date(timestampMs).toISOString(),
    code,
    message,
    ...at,
    bytes: value?.byteLength ?? null,
    replayed: replayedAtMs === null ? null : new Date(replayedAtMs).toISOString(),
    ...(withValue ? { key: key && (textOf(key) ?? inBase64(key)), value: value && valueToJson(value) } : {}),
  })}\n`;
}

/** All of a letter; a value that is no text as hex, and only the beginning of one that is long. */
export function letterPage({ letter, replayedAtMs }: SeenLetter): string {
  const { id, code, message, timestampMs, key, value } = letter;
  const facts = table(null, [
    ['letter', id],
    ['buried', new Date(timestampMs).toISOString()],
    ['record', placeOf(letter)],
    ['code', code],
    ['why', oneLine(message)],
    ['replayed', replayedAtMs === null ? 'no' : new Date(replayedAtMs).toISOString()],
    ['key', key === null ? 'none' : oneLine(textOf(key) ?? hexRow(key))],
    ['value', value === null ? 'none' : size(value.byteLength)],
  ]);
  if (!value?.byteLength) return facts;
  const shown = value.subarray(0, SHOWN_BYTES);
  const rest = value.byteLength - shown.byteLength;
  const more = rest > 0 ? `… and ${size(rest)} more; with --json all of it\n` : '';
  // Text is cut by bytes, so its last character may be half of one.
  const text = textOf(value) === null ? null : new TextDecoder().decode(shown, { stream: true });
  return `${facts}\n${text === null ? hexDump(shown) : `${printable(text).replace(/\n$/, '')}\n`}${more}`;
}

/** Offset, bytes, and what of them is ASCII, sixteen a row. */
function hexDump(bytes: Uint8Array): string {
  let dump = '';
  for (let at = 0; at < bytes.byteLength; at += BYTES_A_ROW) {
    const row = bytes.subarray(at, at + BYTES_A_ROW);
    const ascii = [...row].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    dump += `${at.toString(16).padStart(8, '0')}  ${hexRow(row).padEnd(3 * BYTES_A_ROW - 1)}  ${ascii}\n`;
  }
  return dump;
}

function hexRow(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
