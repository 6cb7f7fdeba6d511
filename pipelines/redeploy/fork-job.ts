import { copyFile, link, mkdir, rm } from 'node:fs/promises';
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { openCheckpointStore, readManifest } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Checkpoint, Logger } from '../../operators/ports.ts';
import type { Json, Snapshot } from '../../operators/types.ts';
import type { JobFolder } from '../job/job-folder.ts';
import { lintGraph } from '../spec/lint.ts';
import type { Graph } from '../spec/graph.ts';

/** A savepoint that a new job begins from. */
export interface Fork {
  readonly checkpoint: Checkpoint;
  /** The graph that made it; null where a version of Millrace made it that did not say. */
  readonly graph: Graph | null;
  /** The stream that it is of. */
  readonly stream: string | null;
  /** Which log its offsets are of, as `logIdentity` says; null where it does not say. */
  readonly log: string | null;
  readonly describe: Readonly<Record<string, Json>>;
}

const describeSchema = z.object({
  log: z.string().optional(),
  graph: z.object({ stream: z.string(), document: z.json().optional() }).optional(),
});

/** Identifies a log, as far as that can be known: offsets of one mean nothing in another. */
export function logIdentity(dataDir: string, brokers: readonly string[] | undefined): string {
  return brokers ? `kafka ${brokers.toSorted().join(',')}` : `embedded ${realpathSync(dataDir)}`;
}

/**
 * Reads every byte of a savepoint, given by its folder or by its id in a job. Rejects with `bad-usage` where there is none,
 * and with `checkpoint-corrupt`.
 */
export async function readFork(path: string, job: JobFolder | null, logger: Logger): Promise<Fork> {
  const folder = folderOf(path, job);
  const store = await openCheckpointStore(dirname(folder), { jobId: '', logger, describe: {} });
  const checkpoint = await store.read(basename(folder));
  const { describe } = await readManifest(folder);
  const said = describeSchema.safeParse(describe).data;
  return {
    checkpoint,
    graph: graphIn(describe),
    stream: said?.graph?.stream ?? null,
    log: said?.log ?? null,
    describe,
  };
}

/** The graph that made a savepoint. Rejects with `bad-usage` where it does not say. */
export async function graphOfSavepoint(path: string, job: JobFolder | null): Promise<Graph> {
  const { describe } = await readManifest(folderOf(path, job));
  const graph = graphIn(describe);
  if (graph) return graph;
  throw new MillraceError(
    'bad-usage',
    `Savepoint ${path} does not say which graph made it. Name one: millrace up GRAPH --from …`,
  );
}

function folderOf(path: string, job: JobFolder | null): string {
  return job && !path.includes('/') ? join(job.checkpoints, path) : path;
}

function graphIn(describe: Fork['describe']): Graph | null {
  const document = describeSchema.safeParse(describe).data?.graph?.document;
  return document === undefined ? null : lintGraph(JSON.stringify(document), { runsPacked: true }).graph;
}

export interface ForkOptions {
  readonly job: JobFolder;
  /** What the new job is to go on from; its states as the plan has left them. */
  readonly fork: Fork;
  readonly states: ReadonlyMap<string, Snapshot>;
  /** The new job's graph. */
  readonly graph: Graph;
  /** Whether the offsets are of the log that the new job reads. */
  readonly keepsOffsets: boolean;
  readonly logger: Logger;
}

/**
 * Writes the first checkpoint of a new job: the states of a savepoint, with a place in no ledger yet. What the old job
 * published is not published again; what the new one publishes carries its own name.
 */
export async function writeFork({ job, fork, states, graph, keepsOffsets, logger }: ForkOptions): Promise<void> {
  const steps = new Map(Object.values(graph.streams).flatMap((each) => each.map((step) => [step.uid, step])));
  const staging = join(job.root, 'staging-fork');
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true });
  const begun = new Map<string, Snapshot>();
  for (const [uid, state] of states) {
    const snapshot = steps.get(uid)?.kind.forked(uid, state, keepsOffsets) ?? null;
    if (!snapshot) continue;
    const files = (snapshot.files ?? []).map(({ name, path }) => ({ name, from: path, path: join(staging, name) }));
    for (const { from, path } of files) await link(from, path).catch(() => copyFile(from, path));
    begun.set(uid, {
      ...snapshot,
      ...(files.length > 0 ? { files: files.map(({ name, path }) => ({ name, path })) } : {}),
    });
  }
  const tokenizer = join(fork.checkpoint.path, 'tokenizer.json');
  await copyFile(tokenizer, job.tokenizer).catch((cause: unknown) => {
    throw new MillraceError(
      'checkpoint-incompatible',
      `Savepoint ${fork.checkpoint.id} has no tokenizer, so nobody can go on from it. Use another one.`,
      { cause },
    );
  });
  const store = await openCheckpointStore(job.checkpoints, {
    jobId: job.id,
    logger,
    describe: { ...fork.describe, forkedFrom: fork.checkpoint.path },
    files: [{ name: 'tokenizer.json', path: job.tokenizer }],
  });
  await store.put({ reason: 'timer', states: begun });
  await rm(staging, { recursive: true, force: true });
}
