import { join } from 'node:path';
import { dropCheckpoint, readManifest } from '../../infra/index.ts';
import type { JobFolder } from '../job/job-folder.ts';
import { checkpointIds } from '../job/saved-checkpoints.ts';

/** Removes the cuts of earlier deployments, which nothing goes back to any more; savepoints of people stay, and what is held. */
export async function dropOldDeployCuts(job: JobFolder, newest: string, held: ReadonlySet<string>): Promise<void> {
  for (const id of await checkpointIds(job)) {
    if (id >= newest || held.has(id)) continue;
    // One that can't be read is left to people to look at.
    const manifest = await readManifest(join(job.checkpoints, id)).catch(() => null);
    if (manifest?.reason === 'deploy') await dropCheckpoint(job.checkpoints, id);
  }
}
