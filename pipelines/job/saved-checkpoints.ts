import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { openCheckpointStore, readManifest } from '../../infra/index.ts';
import type { Manifest } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { JobFolder } from './job-folder.ts';

/** A checkpoint of a job as it lies on the disk, damaged or not. */
export type SavedCheckpoint = {
  readonly id: string;
  readonly path: string;
} & (
  | {
      /** `unchecked` when only the manifest was looked at. */
      readonly condition: 'intact' | 'unchecked';
      readonly manifest: Manifest;
      readonly problem: null;
    }
  | {
      readonly condition: 'corrupt';
      /** Null when it can't be read itself. */
      readonly manifest: Manifest | null;
      readonly problem: string;
    }
);

const ID = /^\d{9}(-savepoint)?$/;

/** Ids of a job's checkpoints, damaged ones too, oldest first. */
export async function checkpointIds(job: Pick<JobFolder, 'checkpoints'>): Promise<readonly string[]> {
  try {
    return (await readdir(job.checkpoints)).filter((name) => ID.test(name)).toSorted();
  } catch (error) {
    // A job that has not come to its first checkpoint.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Looks at a checkpoint's manifest and, with `verify`, at every byte of its files. Resolves with null when it is not there:
 * a running job may remove the oldest at any time.
 */
export async function inspectCheckpoint(job: JobFolder, id: string, verify: boolean): Promise<SavedCheckpoint | null> {
  const path = join(job.checkpoints, id);
  let manifest: Manifest | null = null;
  try {
    manifest = await readManifest(path);
    if (verify) await readWhole(job, id);
    return { id, path, manifest, condition: verify ? 'intact' : 'unchecked', problem: null };
  } catch (error) {
    if (!ID.test(id) || !existsSync(path)) return null;
    if (!(error instanceof MillraceError) || error.code !== 'checkpoint-corrupt') throw error;
    return { id, path, manifest, condition: 'corrupt', problem: error.message };
  }
}

async function readWhole(job: JobFolder, id: string): Promise<void> {
  const logger = { info: () => {}, warn: () => {} };
  const store = await openCheckpointStore(job.checkpoints, { jobId: job.id, logger, describe: {} });
  await store.read(id);
}

/** How far a training was. */
export interface Trained {
  readonly step: number;
  readonly totals: { readonly tokens: number; readonly bytes: number; readonly bits: number };
}

const trainedSchema: z.ZodType<Trained> = z.object({
  step: z.number(),
  totals: z.object({ tokens: z.number(), bytes: z.number(), bits: z.number() }),
});

/** How far the training was, whichever operator's state says so; null where none does. */
export function trainedIn({ states }: Manifest): Trained | null {
  for (const { state } of Object.values(states)) {
    const parsed = trainedSchema.safeParse(state);
    if (parsed.success) return parsed.data;
  }
  return null;
}

export function bytesOf({ files }: Manifest): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
