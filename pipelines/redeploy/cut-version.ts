import { z } from 'zod';
import { readManifest } from '../../infra/index.ts';
import type { Manifest } from '../../infra/index.ts';
import type { Checkpoint } from '../../operators/ports.ts';
import type { CurrentGraph } from './graph-history.ts';

const describeSchema = z.object({ graph: z.object({ version: z.int() }) });

/** The version of the graph that made a cut; 0 where it does not say. */
export async function versionOf({ path }: Pick<Checkpoint, 'path'>): Promise<number> {
  return versionIn(await readManifest(path));
}

export function versionIn({ describe }: Pick<Manifest, 'describe'>): number {
  const parsed = describeSchema.safeParse(describe);
  return parsed.success ? parsed.data.graph.version : 0;
}

/** Whether a cut of the stream that trains counts: what a graph made that was gone back from does not. */
export async function countsIn(
  { undone }: Pick<CurrentGraph, 'undone'>,
  cut: Pick<Checkpoint, 'path'>,
): Promise<boolean> {
  return undone.length === 0 || !undone.includes(await versionOf(cut));
}
