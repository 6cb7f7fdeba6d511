import { MillraceError } from '../../operators/errors.ts';
import type { WeightsVersion } from '../../operators/ports.ts';
import type { JobFolder } from '../job/job-folder.ts';
import { checkpointIds, inspectCheckpoint, trainedIn } from '../job/saved-checkpoints.ts';

/**
 * The snapshot that somebody names by the id of its checkpoint, or by its number: the newest where nothing is said. Every
 * byte of it has been read. Rejects with `bad-usage` or `checkpoint-corrupt`.
 */
export async function snapshotNamed(job: JobFolder, version: string | null): Promise<WeightsVersion> {
  const ids = await checkpointIds(job);
  const id = version === null ? ids.at(-1) : ids.find((each) => each === version || isNumber(each, version));
  const saved = id === undefined ? null : await inspectCheckpoint(job, id, true);
  if (saved?.condition === 'corrupt') throw new MillraceError('checkpoint-corrupt', saved.problem);
  const step = saved?.manifest && trainedIn(saved.manifest)?.step;
  if (saved && typeof step === 'number') return { id: saved.id, step };
  throw new MillraceError(
    'bad-usage',
    `Job ${job.id} has no snapshot ${version ?? 'yet'}; millrace models shows those that there are.`,
  );
}

function isNumber(id: string, version: string): boolean {
  return /^\d+$/.test(version) && Number.parseInt(id, 10) === Number(version);
}

/** Snapshots between two others; those of the folder only, and what can't be read is no snapshot. */
export async function snapshotsBetween(
  job: JobFolder,
  after: string,
  before: string,
): Promise<readonly WeightsVersion[]> {
  const between = (await checkpointIds(job)).filter((id) => id > after && id < before);
  const saved = await Promise.all(between.map((id) => inspectCheckpoint(job, id, false)));
  return saved.flatMap((each) => {
    const step = each?.manifest ? trainedIn(each.manifest)?.step : undefined;
    return each && step !== undefined ? [{ id: each.id, step }] : [];
  });
}
