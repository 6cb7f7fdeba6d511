import { MillraceError } from '../../operators/errors.ts';
import { isDiskFull } from '../system-errors.ts';

/** Turns what stopped a checkpoint from being written into `disk-full` or `checkpoint-write-failed`. */
export function writeFailure(directory: string, cause: unknown): MillraceError {
  if (isDiskFull(cause)) {
    return new MillraceError(
      'disk-full',
      `There is no room left in ${directory} for a checkpoint. The ones before it are untouched. Free some space, keep ` +
        'fewer checkpoints, or delete savepoints that nobody needs.',
      { cause },
    );
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError(
    'checkpoint-write-failed',
    `The checkpoint could not be written to ${directory}: ${reason}. The ones before it are untouched. Check that the ` +
      'folder may be written and is not changed by anything else.',
    { cause },
  );
}
