import { statfs } from 'node:fs/promises';
import { constants } from 'node:os';
import { MillraceError } from '../../operators/errors.ts';
import { errorCode, isDiskFull } from '../system-errors.ts';

const MDB_MAP_FULL = -30792;
/** Less than this is as good as none: LMDB needs some pages even to delete. */
const NO_ROOM_BYTES = 1024 * 1024;

/** Turns what LMDB rejects with into `disk-full` or `log-failed`. Errors of our own pass unchanged. */
export async function logFailure(error: unknown, directory: string): Promise<MillraceError> {
  if (error instanceof MillraceError) return error;
  const cause = await commitCause(error);
  if (await isForWantOfRoom(cause, directory)) {
    return new MillraceError(
      'disk-full',
      `There is no room left for the log in ${directory}. Nothing of this call was written. Free some space there, ` +
        'or give its topics a retention, and try again.',
      { cause },
    );
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError(
    'log-failed',
    `The log in ${directory} cannot be used: ${reason}. Check that the folder is on a local disk and may be written, ` +
      'and restore it from a copy if it is damaged.',
    { cause },
  );
}

/** LMDB reports a commit that failed in two parts: an error, and a promise in it that rejects with the reason. */
async function commitCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (reason) {
    return reason;
  }
}

/** Whether LMDB failed in a folder because nothing more fits on its disk. */
export async function isForWantOfRoom(cause: unknown, directory: string): Promise<boolean> {
  const code = errorCode(cause);
  if (isDiskFull(cause) || code === MDB_MAP_FULL) return true;
  // A disk that fills up in the middle of a page makes a short write, which LMDB reports as a fault of the device.
  return code === constants.errno.EIO && (await freeBytes(directory)) < NO_ROOM_BYTES;
}

async function freeBytes(directory: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}
