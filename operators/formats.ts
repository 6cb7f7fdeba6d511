import { MillraceError } from './errors.ts';
import type { Content } from './field-path.ts';
import { textAt } from './field-path.ts';

/** How the values of a topic are read and written. */
export interface TopicFormat {
  /** `plain` where nothing was said: text is read as it is, reports are written as JSON. */
  readonly name: 'plain' | 'text' | 'json' | 'avro';
  /** Where the text stands in what a value holds, where that was said. */
  readonly field: string | null;
  /**
   * What a value holds. Fails with one of the codes of poison (see poison.ts) when it is not of this format, and with
   * another when something outside is needed for it that can't be had now: then the same record may be read later.
   */
  read(value: Uint8Array): Content | Promise<Content>;
  /** Fails with `value-unfit` when this format can't hold it. */
  write(content: Content): Uint8Array | Promise<Uint8Array>;
}

/** The formats of topics, by name. */
export interface Formats {
  of(topic: string): TopicFormat;
}

const REPLACEMENT = '\uFFFD';
const HALF_CHARACTER = /\p{Surrogate}/u;

/** The field that has the text, unless the graph names another. */
const TEXT_FIELD = 'text';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text in UTF-8, byte order marks included. Throws `record-not-utf8`. */
export function readUtf8(value: Uint8Array): string {
  try {
    return utf8.decode(value);
  } catch {
    throw new MillraceError('record-not-utf8', 'The value is not UTF-8 text. Convert it before producing it.');
  }
}

/** Text without a byte order mark before it, which JSON does not allow. */
export function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** Nothing was said: text is read as it is; text is written as it is, and everything else as JSON. */
export const plainFormat: TopicFormat = {
  name: 'plain',
  field: null,
  read: readUtf8,
  write: (content) => Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)),
};

/** UTF-8 text and nothing else. */
export const textFormat: TopicFormat = {
  name: 'text',
  field: null,
  read: readUtf8,
  write(content) {
    if (typeof content === 'string') return Buffer.from(content);
    throw new MillraceError('value-unfit', 'A topic of format text holds text only. Give it format json or avro.');
  },
};

/** JSON in UTF-8. */
export function jsonFormat(field: string | null = null): TopicFormat {
  return {
    name: 'json',
    field,
    read(value) {
      const text = withoutMark(readUtf8(value));
      try {
        const content: Content = JSON.parse(text);
        return content;
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new MillraceError('record-not-json', `The value is not JSON: ${reason}`, { cause });
      }
    },
    write: (content) => Buffer.from(JSON.stringify(content)),
  };
}

/** Where a document's text stands in a topic of this format; null where the whole value is the text. */
export function textFieldOf({ name, field }: TopicFormat): string | null {
  return name === 'plain' || name === 'text' ? null : (field ?? TEXT_FIELD);
}

/**
 * The text of a document that a value of this format carries. Throws `field-missing` where it has none, and
 * `record-not-utf8` for half a character, which JSON can hold and UTF-8 can't, and for bytes that are none, which Avro's
 * reader replaces.
 */
export function textIn(content: Content, format: TopicFormat, value: Uint8Array): string {
  const field = textFieldOf(format);
  const text = typeof content === 'string' && field === null ? content : textAt(content, field ?? TEXT_FIELD);
  const isReplaced = format.name === 'avro' && text.includes(REPLACEMENT) && !Buffer.from(value).includes(text);
  if (isReplaced) throw new MillraceError('record-not-utf8', `What stands at ${field} is not UTF-8 text.`);
  if (field === null || !HALF_CHARACTER.test(text)) return text;
  throw new MillraceError(
    'record-not-utf8',
    'The text has half a character (a lone surrogate), which no UTF-8 can hold.',
  );
}
