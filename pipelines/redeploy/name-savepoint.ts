import { link, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { lockJob, openCheckpointStore, readManifest } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { CheckpointInfo, Logger } from '../../operators/ports.ts';
import type { Snapshot } from '../../operators/types.ts';
import type { JobFolder } from '../job/job-folder.ts';
import { countsIn } from './cut-version.ts';
import { currentGraph } from './graph-history.ts';

/**
 * Makes a savepoint of the newest intact checkpoint of a job that does not run. Files are shared with it, not copied; where
 * it is a savepoint already, it is the answer. Rejects with `job-locked` when the job runs after all.
 */
export async function nameSavepoint(dataDir: string, job: JobFolder, logger: Logger): Promise<CheckpointInfo> {
  const lock = await lockJob(dataDir);
  const staging = join(job.root, 'staging-savepoint');
  try {
    const about = { jobId: job.id, logger };
    const { undone = [] } = (await currentGraph(job)) ?? {};
    const saved = await openCheckpointStore(job.checkpoints, { ...about, describe: {} });
    const newest = await saved.latest((cut) => countsIn({ undone }, cut));
    if (!newest) {
      throw new MillraceError('bad-usage', `Job ${job.id} has no checkpoint yet that could be made a savepoint.`);
    }
    if (newest.reason === 'savepoint') return newest;
    const { describe, files } = await readManifest(newest.path);
    await rm(staging, { recursive: true, force: true });
    await mkdir(staging);
    const states = new Map<string, Snapshot>();
    for (const [uid, snapshot] of newest.states) {
      const own = (snapshot.files ?? []).map(({ name, path }) => ({ name, from: path, path: join(staging, name) }));
      for (const { from, path } of own) await link(from, path);
      states.set(
        uid,
        own.length > 0 ? { ...snapshot, files: own.map(({ name, path }) => ({ name, path })) } : snapshot,
      );
    }
    const unchanging = files.filter(({ uid }) => uid === null);
    const store = await openCheckpointStore(job.checkpoints, {
      ...about,
      describe,
      files: unchanging.map(({ name }) => ({ name, path: join(newest.path, name) })),
    });
    return await store.put({ reason: 'savepoint', states });
  } finally {
    await rm(staging, { recursive: true, force: true });
    await lock.release();
  }
}
