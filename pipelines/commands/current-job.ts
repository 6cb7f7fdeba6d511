import { MillraceError } from '../../operators/errors.ts';
import { currentJob, dataFolder } from '../job/job-folder.ts';
import type { JobFolder } from '../job/job-folder.ts';

/** The job of a data folder, which must have one. Throws `bad-usage`. */
export function jobOf(dataDir: string): JobFolder {
  const job = currentJob(dataFolder(dataDir));
  if (job) return job;
  throw new MillraceError(
    'bad-usage',
    `No job has run on ${dataDir} yet. Start one with millrace up, or name another folder with --data-dir.`,
  );
}
