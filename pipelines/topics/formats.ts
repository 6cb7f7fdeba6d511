import { MillraceError } from '../../operators/errors.ts';
import { contentWith } from '../../operators/field-path.ts';
import type { Content } from '../../operators/field-path.ts';
import { jsonFormat, plainFormat, readUtf8, textFieldOf, textFormat } from '../../operators/formats.ts';
import type { Formats, TopicFormat } from '../../operators/formats.ts';
import type { TopicSpec } from '../spec/topics.ts';
import { jsonOf } from './published.ts';

/** The formats that a graph gives its topics; others are plain. */
export function formatsOf(topics: Readonly<Record<string, TopicSpec>>): Formats {
  const formats = new Map(Object.entries(topics).map(([name, spec]) => [name, formatOf(spec)]));
  return { of: (topic) => formats.get(topic) ?? plainFormat };
}

function formatOf({ format, field }: TopicSpec): TopicFormat {
  switch (format) {
    case undefined:
      return plainFormat;
    case 'text':
      return textFormat;
    case 'json':
      return jsonFormat(field);
  }
}

/**
 * A piece of input as a value of a topic. Text goes where the format has its text; what is a JSON object already goes as it
 * is into topics of such. Bytes for a topic of text pass unchanged. Throws `value-unfit` for what is no UTF-8.
 */
export function encodeInput(input: Uint8Array, format: TopicFormat): Uint8Array | Promise<Uint8Array> {
  const field = textFieldOf(format);
  return field === null ? input : format.write(contentOf(input, field));
}

function contentOf(input: Uint8Array, field: string): Content {
  const text = inputText(input);
  const json: unknown = jsonOf(text);
  return isObject(json) ? json : contentWith(field, text);
}

function inputText(input: Uint8Array): string {
  try {
    return readUtf8(input);
  } catch (cause) {
    throw new MillraceError('value-unfit', 'This is not UTF-8 text. Convert it first.', { cause });
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
