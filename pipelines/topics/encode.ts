import { MillraceError } from '../../operators/errors.ts';
import { contentWith } from '../../operators/field-path.ts';
import type { Content } from '../../operators/field-path.ts';
import { readUtf8, textFieldOf } from '../../operators/formats.ts';
import type { TopicFormat } from '../../operators/formats.ts';
import { isPoison } from '../../operators/poison.ts';
import type { LogRecord } from '../../operators/types.ts';
import { jsonOf } from './published.ts';

/**
 * A piece of input as a value of a topic. Text goes where the format has its text; what is a JSON object already goes as it
 * is into topics of such. Bytes for a topic of text pass unchanged. Throws `value-unfit` for what is no UTF-8.
 */
export function encodeInput(input: Uint8Array, format: TopicFormat): Uint8Array | Promise<Uint8Array> {
  const field = textFieldOf(format);
  return field === null ? input : format.write(contentOf(input, field));
}

/**
 * A record whose value people and their programs can read: Avro as JSON, bytes in it as base64. A value that is not what it
 * should be stays as it is.
 */
export async function readable(record: LogRecord, format: TopicFormat): Promise<LogRecord> {
  if (format.name !== 'avro' || record.value === null) return record;
  try {
    const content = await format.read(record.value);
    return { ...record, value: Buffer.from(JSON.stringify(content, bytesAsBase64)) };
  } catch (error) {
    if (isPoison(error)) return record;
    throw error;
  }
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

/** For JSON.stringify, which has made a list of numbers of the bytes before it asks. */
function bytesAsBase64(this: unknown, key: string, value: unknown): unknown {
  const original: unknown = isObject(this) ? this[key] : undefined;
  return Buffer.isBuffer(original) ? original.toString('base64') : value;
}
