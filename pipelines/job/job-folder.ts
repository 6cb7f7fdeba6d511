import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';
import type { Step } from '../spec/graph.ts';
import { has } from '../spec/streams.ts';

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

/** Which log a job's offsets are of. */
export type LogKind = 'embedded' | 'kafka';

export interface JobFolder {
  readonly id: string;
  readonly log: LogKind;
  readonly root: string;
  /** Checkpoints of the training stream. */
  readonly checkpoints: string;
  readonly tokenizer: string;
  /** What the job began with. */
  readonly record: string;
  /** The graphs that it has had, and which of them is its graph now. */
  readonly graphs: string;
  /** Snapshots on their way into a checkpoint. */
  readonly staging: string;
}

const currentJobSchema = z.object({
  id: z.string().regex(/^[\w-]+$/),
  log: z.enum(['embedded', 'kafka']).default('embedded'),
});

export function dataFolder(root: string): DataFolder {
  return { root, log: join(root, 'log'), jobs: join(root, 'jobs'), currentJob: join(root, 'job.json') };
}

/** The job that the folder is at, or null where none was started yet. */
export function currentJob(folder: DataFolder): JobFolder | null {
  if (!existsSync(folder.currentJob)) return null;
  try {
    const { id, log } = currentJobSchema.parse(JSON.parse(readFileSync(folder.currentJob, 'utf8')));
    const job = jobFolder(folder, id, log);
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
export function goOnOrBegin(
  folder: DataFolder,
  log: LogKind,
  fresh: boolean,
  onWarning: (message: string) => void,
): JobFolder {
  if (!fresh) {
    const job = currentJob(folder);
    if (job) checkLog(job, log);
    return job ?? startJob(folder, log);
  }
  if (existsSync(folder.currentJob))
    onWarning(`What earlier jobs saved is kept in ${folder.jobs} until you remove it.`);
  return startJob(folder, log);
}

/** Offsets of one log mean nothing in the other. */
function checkLog({ id, log }: JobFolder, wanted: LogKind): void {
  if (log === wanted) return;
  const problem =
    log === 'kafka'
      ? 'runs on Kafka. Name its brokers with --brokers'
      : 'runs on the embedded log. Leave out the brokers';
  throw new MillraceError(
    'bad-usage',
    `Job ${id} of this folder ${problem}, use another --data-dir, or start a new job with --fresh.`,
  );
}

/** Begins a job of its own; what an earlier one left stays in its folder until somebody removes it. */
export function startJob(folder: DataFolder, log: LogKind): JobFolder {
  const job = newJob(folder, log);
  makeCurrentJob(folder, job);
  return job;
}

/** A job of its own that is not the folder's yet. */
export function newJob(folder: DataFolder, log: LogKind): JobFolder {
  const job = jobFolder(folder, randomUUID().slice(0, 8), log);
  mkdirSync(job.root, { recursive: true });
  return job;
}

export function makeCurrentJob(folder: DataFolder, { id, log }: JobFolder): void {
  const aside = `${folder.currentJob}.new`;
  writeFileSync(aside, `${JSON.stringify({ id, log })}\n`, { flush: true });
  renameSync(aside, folder.currentJob);
}

/** The training stream's checkpoints are the job's; the others keep theirs beside them. */
export function checkpointsOf({ checkpoints, root }: JobFolder, name: string, steps: readonly Step[]): string {
  return has(steps, 'trainStep') ? checkpoints : join(root, 'streams', name);
}

function jobFolder(folder: DataFolder, id: string, log: LogKind): JobFolder {
  const root = join(folder.jobs, id);
  return {
    id,
    log,
    root,
    checkpoints: join(root, 'checkpoints'),
    tokenizer: join(root, 'tokenizer.json'),
    record: join(root, 'record.json'),
    graphs: join(root, 'graphs'),
    staging: join(root, 'staging'),
  };
}
