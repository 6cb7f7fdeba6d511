import { constants } from 'node:os';

const { ENOSPC, EDQUOT, EFBIG } = constants.errno;
const FULL_CODES: ReadonlySet<unknown> = new Set([ENOSPC, 'ENOSPC', EDQUOT, 'EDQUOT', EFBIG, 'EFBIG']);

/** Whether an error of the operating system means that there is no room left: disk, quota or limit on a file's size. */
export function isDiskFull(error: unknown): boolean {
  return FULL_CODES.has(errorCode(error));
}

/** The `code` of an error, where it has one. */
export function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
