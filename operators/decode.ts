import type { OperatorFunction } from 'rxjs';
import type { ErrorCode } from './errors.ts';
import { each } from './each.ts';
import type { Element } from './flow.ts';
import type { DeadLetters } from './ports.ts';
import type { Document, LogRecord } from './types.ts';
import { byteSizeSchema, toBytes } from './units.ts';
import type { ByteSize } from './units.ts';
import { z } from 'zod';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

export interface DecodeOptions {
  /** Where records go that can't be decoded. Without it the first one ends the flow. */
  readonly deadLetters: DeadLetters;
  /** Longer documents are dead letters. */
  readonly maxBytes?: ByteSize;
}

/**
 * Emits a document for each record whose value is UTF-8 text.
 *
 * Order: kept. Backpressure: a document goes on under its record's bytes. Poison: an empty, oversized or undecodable
 * record goes to the dead letters, and only then does the flow go on; when it can't be written there, the flow ends with
 * `dead-letter-failed`. No state.
 */
export function decode(options: DecodeOptions): OperatorFunction<Element<LogRecord>, Element<Document>> {
  const maxBytes = toBytes(options.maxBytes ?? '8MB');
  return each((record) => {
    const outcome = toDocument(record, maxBytes);
    if (!('code' in outcome)) return outcome;
    const at = { topic: record.topic, partition: record.partition, offset: record.offset };
    return options.deadLetters.put({ at, key: record.key, value: record.value, ...outcome }).then(() => null);
  });
}

interface Rejection {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Keeps no state between whole texts. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function toDocument(record: LogRecord, maxBytes: number): Document | Rejection {
  const { value, topic, partition, offset, timestampMs } = record;
  if (!value?.byteLength)
    return { code: 'record-empty', message: 'The record has no value, so there is no text in it.' };
  if (value.byteLength > maxBytes) {
    return {
      code: 'document-too-large',
      message: `The document has ${value.byteLength} bytes, more than ${maxBytes}. Split it, or raise decode.maxBytes.`,
    };
  }
  try {
    const text = utf8.decode(value);
    return { text, byteCount: value.byteLength, at: { topic, partition, offset }, timestampMs };
  } catch {
    return { code: 'record-not-utf8', message: 'The value is not UTF-8 text. Convert it before producing it.' };
  }
}

export const decodeKind: OperatorKind = defineKind({
  kind: 'decode',
  summary: 'Reads each record as a document of UTF-8 text; what is none goes to the dead letters.',
  input: 'record',
  output: 'document',
  config: z.strictObject({
    maxBytes: byteSizeSchema.default('8MB').describe('Longer documents are dead letters.'),
  }),
  build: (_uid, config, { deadLetters }) => decode({ ...config, deadLetters }),
});
