import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { each } from './each.ts';
import { MillraceError } from './errors.ts';
import type { Content } from './field-path.ts';
import type { Element } from './flow.ts';
import { plainFormat, textFieldOf, textIn } from './formats.ts';
import type { Formats, TopicFormat } from './formats.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { orDeadLetter } from './poison.ts';
import type { DeadLetters } from './ports.ts';
import type { Document, LogRecord } from './types.ts';
import { byteSizeSchema, toBytes } from './units.ts';
import type { ByteSize } from './units.ts';

export interface DecodeOptions {
  /** Where records go that can't be decoded. Without it the first one ends the flow. */
  readonly deadLetters: DeadLetters;
  /** Longer values are dead letters. */
  readonly maxBytes?: ByteSize;
  /** Values are UTF-8 text when absent. */
  readonly formats?: Formats;
}

/**
 * Emits a document for each record whose value carries text in the format of its topic.
 *
 * Order: kept. Backpressure: a document goes on under its record's bytes. Poison: an empty, oversized or undecodable
 * record, and one without the field, goes to the dead letters, and only then does the flow go on; when it can't be written
 * there, the flow ends with `dead-letter-failed`. Errors: what a format needs and can't have now ends the flow too. No state.
 */
export function decode(options: DecodeOptions): OperatorFunction<Element<LogRecord>, Element<Document>> {
  const { deadLetters, formats = { of: () => plainFormat } } = options;
  const maxBytes = toBytes(options.maxBytes ?? '8MB');
  return each((record) =>
    orDeadLetter(record, deadLetters, () => toDocument(record, formats.of(record.topic), maxBytes)),
  );
}

function toDocument(record: LogRecord, format: TopicFormat, maxBytes: number): Document | Promise<Document> {
  const value = checkedValue(record, maxBytes);
  const content = format.read(value);
  return content instanceof Promise
    ? content.then((read) => documentOf(record, read, format, value))
    : documentOf(record, content, format, value);
}

function documentOf(record: LogRecord, content: Content, format: TopicFormat, value: Uint8Array): Document {
  const { topic, partition, offset, key, timestampMs } = record;
  const text = textIn(content, format, value);
  if (text === '') throw new MillraceError('record-empty', 'The text of the record is empty.');
  const byteCount = textFieldOf(format) === null ? value.byteLength : Buffer.byteLength(text);
  const named = key === null ? {} : { key: Buffer.from(key).toString() };
  return { text, byteCount, at: { topic, partition, offset }, ...named, timestampMs };
}

function checkedValue({ value }: LogRecord, maxBytes: number): Uint8Array {
  if (!value?.byteLength) {
    throw new MillraceError('record-empty', 'The record has no value, so there is no text in it.');
  }
  if (value.byteLength <= maxBytes) return value;
  throw new MillraceError(
    'document-too-large',
    `The document has ${value.byteLength} bytes, more than ${maxBytes}. Split it, or raise decode.maxBytes.`,
  );
}

export const decodeKind: OperatorKind = defineKind({
  kind: 'decode',
  summary: 'Reads each record as a document, in the format of its topic; what is none goes to the dead letters.',
  input: 'record',
  output: 'document',
  config: z.strictObject({
    maxBytes: byteSizeSchema.default('8MB').describe('Longer documents are dead letters.'),
  }),
  build: (_uid, config, { deadLetters, formats }) => decode({ ...config, deadLetters, formats }),
});
