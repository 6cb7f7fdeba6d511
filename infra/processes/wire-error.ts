import { ModelError } from '../../model/errors.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { ErrorCode } from '../../operators/errors.ts';
import { isDiskFull } from '../system-errors.ts';

/** An error on its way between two processes. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Set for errors that carry one of our codes. */
  readonly code: ErrorCode | null;
  readonly cause: WireError | null;
}

/** Takes an error apart. A full disk gets its code here, since the model passes errors of the disk on unchanged. */
export function toWire(error: unknown): WireError {
  if (isDiskFull(error)) {
    const message = 'There is no room left for what was to be written. Free some space on the disk.';
    return { ...takeApart(new MillraceError('disk-full', message)), cause: takeApart(error) };
  }
  return takeApart(error);
}

function takeApart(error: unknown): WireError {
  if (!(error instanceof Error)) {
    return { name: 'Error', message: String(error), stack: undefined, code: null, cause: null };
  }
  const code = error instanceof MillraceError || error instanceof ModelError ? error.code : null;
  const cause = error.cause === undefined ? null : toWire(error.cause);
  return { name: error.name, message: error.message, stack: error.stack, code, cause };
}

/** Puts an error together again: a `MillraceError` where there is a code. Its stack is that of the other process. */
export function fromWire({ name, message, stack, code, cause }: WireError): Error {
  const options = cause ? { cause: fromWire(cause) } : {};
  const error = code ? new MillraceError(code, message, options) : plainError(name, message, options);
  if (stack !== undefined) error.stack = stack;
  return error;
}

function plainError(name: string, message: string, options: ErrorOptions): Error {
  const error = new Error(message, options);
  error.name = name;
  return error;
}
