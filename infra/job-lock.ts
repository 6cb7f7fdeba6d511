import { open } from 'lmdb';
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { MillraceError } from '../operators/errors.ts';
import { isForWantOfRoom } from './embedded-log/failure.ts';
import { isRunning, ownIdentity } from './process-identity.ts';
import type { ProcessIdentity } from './process-identity.ts';

export interface JobLock {
  /** Lets the next process have the job. */
  release(): Promise<void>;
}

interface Holder extends ProcessIdentity {
  readonly host: string;
  /** ISO 8601. */
  readonly since: string;
}

const LOCK_FILE = 'job.lock';

/**
 * Makes this process the only one that runs the job in a data folder, until it releases the lock or ends. The lock of a
 * process that died is taken over at once; a pid that was given to another process meanwhile is not mistaken for it.
 * Rejects with `job-locked` when another process has it.
 *
 * The file is an LMDB database: whether a holder is dead, and who may take its lock over, is decided in one transaction,
 * which plain files cannot do when two try at once.
 */
export async function lockJob(directory: string): Promise<JobLock> {
  const own: Holder = { ...ownIdentity(), host: hostname(), since: new Date().toISOString() };
  const holder = await inLockFile(directory, (read, write) => {
    const found = read();
    if (found && mayRun(found)) return found;
    write(own);
    return null;
  });
  if (holder) throw jobLocked(directory, holder);
  return {
    async release() {
      await inLockFile(directory, (read, write) => {
        if (isSame(read(), own)) write(null);
      });
    },
  };
}

type Action<T> = (read: () => Holder | null, write: (holder: Holder | null) => void) => T;

async function inLockFile<T>(directory: string, action: Action<T>): Promise<T> {
  try {
    await mkdir(directory, { recursive: true });
    const file = open<Holder | null, string>({ path: join(directory, LOCK_FILE), noSubdir: true, encoding: 'json' });
    try {
      return file.transactionSync(() =>
        action(
          () => file.get('holder') ?? null,
          (holder) => file.putSync('holder', holder),
        ),
      );
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw await lockFailure(directory, cause);
  }
}

/** A process of another machine cannot be looked at, so it counts as running. */
function mayRun(holder: Holder): boolean {
  return holder.host !== hostname() || isRunning(holder);
}

function isSame(holder: Holder | null, own: Holder): boolean {
  return holder?.pid === own.pid && holder.startTicks === own.startTicks && holder.host === own.host;
}

function jobLocked(directory: string, { pid, host, since }: Holder): MillraceError {
  const advice =
    host === hostname()
      ? 'Stop that process first'
      : `If it is certain that it is gone, remove ${join(directory, LOCK_FILE)}`;
  return new MillraceError(
    'job-locked',
    `The job in ${directory} is running already: process ${pid} on ${host}, since ${since}. ${advice}, or use another ` +
      'data folder.',
  );
}

async function lockFailure(directory: string, cause: unknown): Promise<MillraceError> {
  if (await isForWantOfRoom(cause, directory)) {
    return new MillraceError('disk-full', `There is no room left in ${directory}. Free some space there.`, { cause });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError(
    'bad-usage',
    `The data folder ${directory} cannot be used: ${reason}. Choose one on a local disk that may be written.`,
    { cause },
  );
}
