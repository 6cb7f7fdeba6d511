import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../../infra/index.ts';
import type { JobFolder } from '../job/job-folder.ts';
import { readJsonFile } from '../job/json-file.ts';
import { checkpointIds, inspectCheckpoint } from '../job/saved-checkpoints.ts';

/* A savepoint that a control record asks for, remembered before it is made, so that the next process knows one of it. */

interface Wanted {
  readonly request: string;
  /** The job's newest checkpoint when it was asked for. */
  readonly newest: string;
}

const wantedSchema: z.ZodType<Wanted> = z.object({ request: z.string(), newest: z.string() });

/** Notes that a savepoint is about to be made for a request. */
export async function wantSavepoint(job: JobFolder, request: string): Promise<void> {
  const newest = (await checkpointIds(job)).at(-1) ?? '';
  await replaceFile(fileOf(job), `${JSON.stringify({ request, newest } satisfies Wanted)}\n`);
}

/** The savepoint that was made since a request was noted; null where it was not, or none was. */
export async function savedFor(job: JobFolder, request: string): Promise<string | null> {
  const wanted = await readJsonFile(fileOf(job), wantedSchema, "can't be read. Remove it.");
  if (wanted?.request !== request) return null;
  for (const id of await checkpointIds(job)) {
    if (id <= wanted.newest) continue;
    const saved = await inspectCheckpoint(job, id, false);
    if (saved?.manifest?.reason === 'savepoint') return id;
  }
  return null;
}

function fileOf({ root }: JobFolder): string {
  return join(root, 'wanted-savepoint.json');
}
