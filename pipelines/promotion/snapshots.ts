import { z } from 'zod';
import type { Manifest } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { WeightsVersion } from '../../operators/ports.ts';
import type { JobFolder } from '../job/job-folder.ts';
import { checkpointIds, inspectCheckpoint, trainedIn } from '../job/saved-checkpoints.ts';

/**
 * The snapshot that somebody names by the id of its checkpoint, or by its number: the newest where nothing is said. Every
 * byte of it has been read. Rejects with `bad-usage` or `checkpoint-corrupt`.
 */
export async function snapshotNamed(job: JobFolder, version: string | null): Promise<WeightsVersion> {
  const id = idNamed(await checkpointIds(job), version);
  const saved = id === undefined ? null : await inspectCheckpoint(job, id, true);
  if (saved?.condition === 'corrupt') throw new MillraceError('checkpoint-corrupt', saved.problem);
  const step = saved?.manifest && trainedIn(saved.manifest)?.step;
  if (saved?.manifest && typeof step === 'number') return { id: saved.id, step, ...seenIn(saved.manifest) };
  throw new MillraceError(
    'bad-usage',
    `Job ${job.id} has no snapshot ${version ?? 'yet'}; millrace models shows those that there are.`,
  );
}

const seenSchema = z.object({ seen: z.object({ watermark: z.record(z.string(), z.int()), textAtMs: z.number() }) });

/** What the weights of a checkpoint have seen, as far as it says so. */
function seenIn({ states }: Manifest): Pick<WeightsVersion, 'seen' | 'textAtMs'> {
  for (const { state } of Object.values(states)) {
    const { data } = seenSchema.safeParse(state);
    if (data) return { seen: data.seen.watermark, textAtMs: data.seen.textAtMs };
  }
  return {};
}

/** The id that somebody gives, whole or as its number; the newest where nothing is said. */
export function idNamed(ids: readonly string[], version: string | null): string | undefined {
  if (version === null) return ids.at(-1);
  const isNumber = /^\d+$/.test(version);
  return ids.find((id) => id === version || (isNumber && Number.parseInt(id, 10) === Number(version)));
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
