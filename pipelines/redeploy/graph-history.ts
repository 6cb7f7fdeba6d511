import { mkdir, readdir } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { replaceFile } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Uid } from '../../operators/flow.ts';
import type { LedgerPlace } from '../../operators/ports.ts';
import type { Json } from '../../operators/types.ts';
import type { JobFolder } from '../job/job-folder.ts';
import { readJsonFile } from '../job/json-file.ts';
import { graphDocument, graphHash } from '../spec/graph.ts';
import type { Graph } from '../spec/graph.ts';
import { lintGraph } from '../spec/lint.ts';
import { watchSchema } from './watch/watch.ts';
import type { WatchState } from './watch/watch.ts';

/** A graph that a job has had, or was to have. */
export interface GraphVersion {
  /** From 1. */
  readonly version: number;
  readonly hash: string;
  /** ISO 8601. */
  readonly at: string;
  /** `user@host`, `http <address>`, or the control record that asked for it. */
  readonly by: string;
  /** Name of the request that it is the answer to, by which it is found again; null where it has none. */
  readonly request: string | null;
  /** The command that brought it. */
  readonly how: 'up' | 'deploy' | 'rollback';
  /** Uids whose state was to be lost. */
  readonly discard: readonly Uid[];
  /** As `graphDocument` gives it. */
  readonly graph: Json;
  /** The plan that was shown; null for a job's first graph, and for one that was gone back to without being asked. */
  readonly plan: Json;
  readonly outcome: 'pending' | 'watching' | 'live' | 'failed' | 'rolled-back';
  /** What there is to know of the outcome. */
  readonly note: string | null;
  /** Code of the error that it failed with. */
  readonly code: string | null;
  /** From the last step of the graph before to the first of this one; null where nothing ran meanwhile. */
  readonly pauseMs: number | null;
  /** How it did, or does, in the time after its deployment; null where nobody watched. */
  readonly watch: WatchState | null;
}

/** Which graph a job has. This file alone says so, and it is replaced at once. */
export interface CurrentGraph {
  readonly version: number;
  /** How often the job's history was written anew from a cut. */
  readonly lineage: number;
  /** Versions that the job has gone back from: their cuts of the stream that trains do not count. */
  readonly undone: readonly number[];
  /** What is to be undone in a stream's ledger before the graph may run; null where that is done. */
  readonly undo: { readonly stream: string; readonly to: LedgerPlace } | null;
}

const versionSchema: z.ZodType<GraphVersion> = z.object({
  version: z.int().positive(),
  hash: z.string(),
  at: z.iso.datetime(),
  by: z.string(),
  request: z.string().nullable().default(null),
  how: z.enum(['up', 'deploy', 'rollback']),
  discard: z.array(z.string()),
  graph: z.json(),
  plan: z.json(),
  outcome: z.enum(['pending', 'watching', 'live', 'failed', 'rolled-back']),
  note: z.string().nullable(),
  code: z.string().nullable().default(null),
  pauseMs: z.number().nullable(),
  watch: watchSchema.nullable().default(null),
});
const currentSchema: z.ZodType<CurrentGraph> = z.object({
  version: z.int().positive(),
  lineage: z.int().nonnegative(),
  undone: z.array(z.int().positive()).default([]),
  undo: z
    .object({
      stream: z.string(),
      to: z.object({ entry: z.int().nonnegative(), played: z.int().nonnegative() }),
    })
    .nullable()
    .default(null),
});

const FILE = /^(\d{6})\.json$/;

/** The graph that a job has; null for one that is about to begin, or that a version without this history has begun. */
export async function currentGraph(job: JobFolder): Promise<CurrentGraph | null> {
  return readJson(join(job.graphs, 'current.json'), currentSchema);
}

/** The graph that a job has, as it can be run; null where it has none. Rejects with `state-invalid`. */
export async function jobGraph(job: JobFolder): Promise<Graph | null> {
  const current = await currentGraph(job);
  return current && readGraphOf(await graphVersion(job, current.version));
}

/** The point at which one graph of a job takes the other's place. */
export function makeCurrent(job: JobFolder, current: CurrentGraph): Promise<void> {
  return replaceFile(join(job.graphs, 'current.json'), `${JSON.stringify(current)}\n`);
}

/** All of a job's graphs, oldest first. */
export async function graphVersions(job: JobFolder): Promise<readonly GraphVersion[]> {
  const names = await readdir(job.graphs).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  const numbers = names.flatMap((name) => FILE.exec(name)?.[1] ?? []).map(Number);
  return Promise.all(numbers.toSorted((a, b) => a - b).map((number) => graphVersion(job, number)));
}

/** Rejects with `bad-usage` when there is no such version. */
export async function graphVersion(job: JobFolder, number: number): Promise<GraphVersion> {
  const version = await readJson(fileOf(job, number), versionSchema);
  if (version) return version;
  throw new MillraceError('bad-usage', `Job ${job.id} has no graph of version ${number}; millrace graphs lists them.`);
}

/** The newest graph before the present one that a job has had. Rejects with `bad-usage` where there is none. */
export async function versionBefore(job: JobFolder): Promise<GraphVersion> {
  const current = await currentGraph(job);
  const versions = await graphVersions(job);
  const now = versions.find(({ version }) => version === current?.version);
  const before = versions.findLast(
    ({ version, outcome, hash }) => outcome === 'live' && version < (now?.version ?? 0) && hash !== now?.hash,
  );
  if (before) return before;
  throw new MillraceError('bad-usage', `Job ${job.id} has had no other graph yet that it could go back to.`);
}

/** The graph that a version says. Rejects with `state-invalid` where this version of Millrace can't read it. */
export function readGraphOf({ version, graph: document }: Pick<GraphVersion, 'version' | 'graph'>): Graph {
  const { graph, findings } = lintGraph(JSON.stringify(document), { runsPacked: true });
  if (graph) return graph;
  const reasons = findings.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new MillraceError(
    'state-invalid',
    `Version ${version} of the job's graph can't be read by this version of Millrace (${reasons}). Use the one that wrote it.`,
  );
}

export type NewVersion = Pick<GraphVersion, 'how' | 'discard' | 'plan' | 'outcome'> &
  Partial<Pick<GraphVersion, 'by' | 'request' | 'note' | 'watch'>>;

/** Writes the next version down; it is not the job's graph yet. */
export async function recordVersion(job: JobFolder, graph: Graph, about: NewVersion): Promise<GraphVersion> {
  await mkdir(job.graphs, { recursive: true });
  const last = (await graphVersions(job)).at(-1)?.version ?? 0;
  const version: GraphVersion = {
    version: last + 1,
    hash: graphHash(graph),
    at: new Date().toISOString(),
    by: `${userInfo().username}@${hostname()}`,
    request: null,
    graph: graphDocument(graph),
    note: null,
    code: null,
    pauseMs: null,
    watch: null,
    ...about,
  };
  await writeVersion(job, version);
  return version;
}

export function writeVersion(job: JobFolder, version: GraphVersion): Promise<void> {
  return replaceFile(fileOf(job, version.version), `${JSON.stringify(version, null, 2)}\n`);
}

const documentSchema = z.record(z.string(), z.json());

/** Notes where the log of a job's graph is found by now, which leaves it the same graph. */
export async function notePlace(job: JobFolder, number: number, graph: Graph): Promise<void> {
  const version = await graphVersion(job, number);
  const { kafka: before, ...document } = documentSchema.parse(version.graph);
  const { kafka } = documentSchema.parse(graphDocument(graph));
  if (isDeepStrictEqual(before, kafka)) return;
  await writeVersion(job, { ...version, graph: { ...document, ...(kafka === undefined ? {} : { kafka }) } });
}

function fileOf(job: JobFolder, version: number): string {
  return join(job.graphs, `${String(version).padStart(6, '0')}.json`);
}

function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  return readJsonFile(path, schema, "can't be read. Bring it back from a copy of the job's folder.");
}
