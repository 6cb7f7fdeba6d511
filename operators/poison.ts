import { MillraceError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { DeadLetters } from './ports.ts';
import type { LogRecord } from './types.ts';

/** Codes of records that will never be read, however often that is tried. */
const POISON: ReadonlySet<ErrorCode> = new Set([
  'command-invalid',
  'document-too-large',
  'field-missing',
  'prompt-invalid',
  'prompt-oversized',
  'record-empty',
  'record-not-avro',
  'record-not-json',
  'record-not-utf8',
  'schema-mismatch',
  'schema-unknown',
]);

export function isPoison(error: unknown): error is MillraceError {
  return error instanceof MillraceError && POISON.has(error.code);
}

/**
 * What `read` makes of a record. Where that is poison, the record goes to the dead letters, and null comes back once it is
 * there; other errors pass, `dead-letter-failed` among them, so that the flow ends without advancing.
 */
export function orDeadLetter<T>(
  record: LogRecord,
  deadLetters: DeadLetters,
  read: () => T | Promise<T>,
): T | Promise<T | null> {
  try {
    const result = read();
    return result instanceof Promise ? result.catch((error: unknown) => bury(record, deadLetters, error)) : result;
  } catch (error) {
    return bury(record, deadLetters, error);
  }
}

async function bury(
  { topic, partition, offset, key, value }: LogRecord,
  deadLetters: DeadLetters,
  error: unknown,
): Promise<null> {
  if (!isPoison(error)) throw error;
  const { code, message } = error;
  await deadLetters.put({ at: { topic, partition, offset }, key, value, code, message });
  return null;
}
