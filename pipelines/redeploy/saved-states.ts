import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readManifest } from '../../infra/index.ts';
import type { Manifest } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import { checkpointsOf } from '../job/job-folder.ts';
import type { JobFolder } from '../job/job-folder.ts';
import type { Graph } from '../spec/graph.ts';
import { has } from '../spec/streams.ts';
import { versionIn } from './cut-version.ts';
import { currentGraph } from './graph-history.ts';
import type { States } from './plan.ts';

/**
 * The states in the newest readable cut of each stream of a graph, read from the manifests alone, so that it may be done
 * while the job runs.
 */
export async function savedStates(job: JobFolder, { streams }: Graph): Promise<States> {
  const undone = (await currentGraph(job))?.undone ?? [];
  const states = await Promise.all(
    Object.entries(streams).map(async ([name, steps]) => {
      const manifest = await newestManifest(checkpointsOf(job, name, steps), has(steps, 'trainStep') ? undone : []);
      return [name, new Map(Object.entries(manifest?.states ?? {}))] as const;
    }),
  );
  return new Map(states);
}

/** Of a graph that counts; null where there is none. */
async function newestManifest(directory: string, undone: readonly number[]): Promise<Manifest | null> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names
    .filter((each) => /^\d{9}/.test(each))
    .toSorted()
    .toReversed()) {
    try {
      const manifest = await readManifest(join(directory, name));
      if (!undone.includes(versionIn(manifest))) return manifest;
    } catch (error) {
      // Damaged, or pruned meanwhile: a running job goes on from the one before it, too.
      if (!(error instanceof MillraceError)) throw error;
    }
  }
  return null;
}
