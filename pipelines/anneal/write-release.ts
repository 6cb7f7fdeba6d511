import { copyFile, link, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpointStore } from '../../infra/index.ts';
import type { CheckpointInfo, Logger } from '../../operators/ports.ts';
import type { Uid } from '../../operators/flow.ts';
import type { Json, Snapshot } from '../../operators/types.ts';
import type { SavedModel } from '../evaluation/saved-weights.ts';

export interface ReleaseOptions {
  /** That it was made from. */
  readonly model: SavedModel;
  /** Of the operator that trains, and what it puts into the release. */
  readonly uid: Uid;
  readonly trained: Snapshot;
  /** How it was made, for its manifest. */
  readonly made: Readonly<Record<string, Json>>;
  readonly out: string;
  readonly logger: Logger;
}

/**
 * Stores a release as a savepoint of its own: the states of its checkpoint with other weights, so that a job that begins from
 * it goes on in the text where the checkpoint was.
 */
export async function writeRelease(options: ReleaseOptions): Promise<CheckpointInfo> {
  const { model, uid, trained, made, out, logger } = options;
  const { checkpoint, describe, jobId } = model;
  const store = await openCheckpointStore(out, {
    jobId,
    logger,
    describe: { ...describe, annealedFrom: checkpoint.path, annealed: made },
    files: [{ name: 'tokenizer.json', path: join(checkpoint.path, 'tokenizer.json') }],
  });
  const staging = join(out, `.files-${process.pid}`);
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging);
  try {
    const states = new Map<Uid, Snapshot>();
    for (const [name, snapshot] of checkpoint.states) {
      states.set(name, name === uid ? trained : await withCopies(snapshot, staging));
    }
    return await store.put({ reason: 'savepoint', states });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** The store moves files, and those of the checkpoint are to stay. */
async function withCopies(snapshot: Snapshot, staging: string): Promise<Snapshot> {
  if (!snapshot.files) return snapshot;
  const files = snapshot.files.map(({ name, path }) => ({ name, path: join(staging, name), from: path }));
  for (const { from, path } of files) await link(from, path).catch(() => copyFile(from, path));
  return { ...snapshot, files: files.map(({ name, path }) => ({ name, path })) };
}
