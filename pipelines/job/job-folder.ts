import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';

/** Where a data folder keeps what. One folder holds one log, and the jobs that were started on it one after another. */
export interface DataFolder {
  readonly root: string;
  /** The embedded log. */
  readonly log: string;
  /** A folder for each job. */
  readonly jobs: string;
  /** Names the current job. */
  readonly currentJob: string;
}

export interface JobFolder {
  readonly id: string;
  readonly root: string;
  /** Checkpoints of the training stream. */
  readonly checkpoints: string;
  readonly tokenizer: string;
  /** Snapshots on their way into a checkpoint. */
  readonly staging: string;
}

const currentJobSchema = z.object({ id: z.string().regex(/^[\w-]+$/) });

export function dataFolder(root: string): DataFolder {
  return { root, log: join(root, 'log'), jobs: join(root, 'jobs'), currentJob: join(root, 'job.json') };
}

/** The job that the folder is at, or null where none was started yet. */
export function currentJob(folder: DataFolder): JobFolder | null {
  if (!existsSync(folder.currentJob)) return null;
  try {
    const job = jobFolder(folder, currentJobSchema.parse(JSON.parse(readFileSync(folder.currentJob, 'utf8'))).id);
    if (existsSync(job.root)) return job;
    throw new Error(`the folder ${job.root} that it names is gone`);
  } catch (cause) {
    throw new MillraceError(
      'state-invalid',
      `${folder.currentJob} names no job that can be gone on with. Restore it, or start a new job on the same topics with --fresh.`,
      { cause },
    );
  }
}

/** The job that the folder is at, or a new one where there is none or a fresh one is wanted. */
export function goOnOrBegin(folder: DataFolder, fresh: boolean, onWarning: (message: string) => void): JobFolder {
  if (!fresh) return currentJob(folder) ?? startJob(folder);
  if (existsSync(folder.currentJob))
    onWarning(`What earlier jobs saved is kept in ${folder.jobs} until you remove it.`);
  return startJob(folder);
}

/** Begins a job of its own; what an earlier one left stays in its folder until somebody removes it. */
export function startJob(folder: DataFolder): JobFolder {
  const job = jobFolder(folder, randomUUID().slice(0, 8));
  mkdirSync(job.root, { recursive: true });
  const aside = `${folder.currentJob}.new`;
  writeFileSync(aside, `${JSON.stringify({ id: job.id })}\n`, { flush: true });
  renameSync(aside, folder.currentJob);
  return job;
}

function jobFolder(folder: DataFolder, id: string): JobFolder {
  const root = join(folder.jobs, id);
  return {
    id,
    root,
    checkpoints: join(root, 'checkpoints'),
    tokenizer: join(root, 'tokenizer.json'),
    staging: join(root, 'staging'),
  };
}
