import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '../../operators/errors.ts';
import type { Checkpoint, CheckpointInfo, CheckpointStore, Cut, Logger } from '../../operators/ports.ts';
import type { CutReason, Json, SnapshotFile } from '../../operators/types.ts';
import { isRunning, ownIdentity } from '../process-identity.ts';
import { commit } from './commit.ts';
import { looksIntact, readIntact, toInfo } from './intact.ts';
import { readManifest } from './manifest.ts';
import { writeFailure } from './write-failure.ts';

export interface CheckpointStoreOptions {
  /** Whose checkpoints these are; written into every manifest. */
  readonly jobId: string;
  readonly logger: Logger;
  /** Facts of the job as it is, for instance the model's config and the graph's hash; written into every manifest. */
  readonly describe: Readonly<Record<string, Json>> | (() => Readonly<Record<string, Json>>);
  /** Files that do not change during the job, for instance the tokenizer; copied, so that each checkpoint has all. */
  readonly files?: readonly SnapshotFile[];
  /** Periodic checkpoints that stay for now, beside those that are kept. */
  readonly held?: () => ReadonlySet<string>;
}

const ID = /^(\d{9})(-savepoint)?$/;
const ID_DIGITS = 9;
/** Directories in the making, or being removed, carry the process that does it: `.aside-<pid>-<start>-<uuid>`. */
const ASIDE = /^\.aside-(\d+)-(\d+|none)-[0-9a-f-]+$/;

/**
 * Checkpoints as directories under one directory; FORMAT.md describes them. What a process that died has left half done
 * is never seen as a checkpoint, and is removed here. Others may read while one process writes.
 */
export async function openCheckpointStore(
  directory: string,
  options: CheckpointStoreOptions,
): Promise<CheckpointStore> {
  try {
    await mkdir(directory, { recursive: true });
    for (const name of await readdir(directory)) {
      if (isAbandoned(name)) await rm(join(directory, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw writeFailure(directory, error);
  }
  return new DirectoryStore(directory, options);
}

class DirectoryStore implements CheckpointStore {
  readonly #directory: string;
  readonly #options: CheckpointStoreOptions;
  #lastNumber = 0;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(directory: string, options: CheckpointStoreOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  put(cut: Cut): Promise<CheckpointInfo> {
    return this.#inTurn(async () => {
      const { jobId, describe, files = [] } = this.#options;
      try {
        const id = await this.#nextId(cut);
        const about = { id, jobId, describe: { ...(typeof describe === 'function' ? describe() : describe) } };
        const manifest = await commit({
          directory: this.#directory,
          aside: asideIn(this.#directory),
          cut,
          files,
          about,
        });
        return toInfo(join(this.#directory, id), manifest);
      } catch (error) {
        throw writeFailure(this.#directory, error);
      }
    });
  }

  async list(): Promise<readonly CheckpointInfo[]> {
    const intact: CheckpointInfo[] = [];
    for (const id of await this.#ids()) {
      const checkpoint = await this.#readOrReport(id);
      if (!checkpoint) continue;
      const { states: _states, ...info } = checkpoint;
      intact.push(info);
    }
    return intact;
  }

  async read(id: string): Promise<Checkpoint> {
    const ids = await this.#ids();
    if (ids.includes(id)) return readIntact(join(this.#directory, id));
    throw new MillraceError(
      'bad-usage',
      `There is no checkpoint ${id} in ${this.#directory}. There are: ${ids.join(', ') || 'none'}.`,
    );
  }

  async latest(counts: (checkpoint: Checkpoint) => Promise<boolean> = async () => true): Promise<Checkpoint | null> {
    for (const id of (await this.#ids()).toReversed()) {
      const checkpoint = await this.#readOrReport(id);
      if (checkpoint && (await counts(checkpoint))) return checkpoint;
    }
    return null;
  }

  /** Damaged ones do not count among those that are kept; they go when they are older than these. */
  prune(keep: number, keepStops: number = Infinity): Promise<void> {
    return this.#inTurn(async () => {
      if (keepStops < Infinity) await this.#pruneStops(keepStops);
      let kept = 0;
      const held = this.#options.held?.() ?? new Set<string>();
      for (const id of (await this.#ids()).toReversed()) {
        if (isSavepoint(id)) continue;
        if (kept < keep) kept += (await looksIntact(join(this.#directory, id))) ? 1 : 0;
        else if (!held.has(id)) await dropCheckpoint(this.#directory, id);
      }
    });
  }

  /** Those that can't be read are left for people to look at. */
  async #pruneStops(keep: number): Promise<void> {
    let kept = 0;
    for (const id of (await this.#ids()).filter(isSavepoint).toReversed()) {
      const manifest = await readManifest(join(this.#directory, id)).catch(() => null);
      if (manifest?.reason !== 'stop') continue;
      kept += 1;
      if (kept > keep) await dropCheckpoint(this.#directory, id);
    }
  }

  async #readOrReport(id: string): Promise<Checkpoint | null> {
    try {
      return await readIntact(join(this.#directory, id));
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.#options.logger.warn(error.message, { code: error.code, id });
      return null;
    }
  }

  /** Oldest first. */
  async #ids(): Promise<string[]> {
    const entries = await readdir(this.#directory, { withFileTypes: true });
    const directories = entries.filter((entry) => entry.isDirectory() && ID.test(entry.name));
    return directories.map((entry) => entry.name).toSorted();
  }

  async #nextId({ reason }: Cut): Promise<string> {
    const newest = (await this.#ids()).at(-1) ?? '0';
    this.#lastNumber = Math.max(this.#lastNumber, Number.parseInt(newest, 10)) + 1;
    return String(this.#lastNumber).padStart(ID_DIGITS, '0') + (isKept(reason) ? '-savepoint' : '');
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(action);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

/** The cut before a deployment is what a rollback goes back to; who deploys removes it. */
function isKept(reason: CutReason): boolean {
  return reason === 'savepoint' || reason === 'deploy' || reason === 'stop';
}

/** Removes a checkpoint: moved aside first, so that nobody meets it half removed. */
export async function dropCheckpoint(directory: string, id: string): Promise<void> {
  const aside = asideIn(directory);
  await rename(join(directory, id), aside);
  await rm(aside, { recursive: true, force: true });
}

function asideIn(directory: string): string {
  const { pid, startTicks } = ownIdentity();
  return join(directory, `.aside-${pid}-${startTicks ?? 'none'}-${randomUUID()}`);
}

function isSavepoint(id: string): boolean {
  return ID.exec(id)?.[2] !== undefined;
}

function isAbandoned(name: string): boolean {
  const [, pid, start] = ASIDE.exec(name) ?? [];
  return pid !== undefined && !isRunning({ pid: Number(pid), startTicks: start === 'none' ? null : Number(start) });
}
