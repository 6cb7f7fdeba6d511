import { link, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readManifest } from '../../../infra/index.ts';
import { positionsIn } from '../../../operators/ingest-state.ts';
import type { Position } from '../../../operators/ports.ts';
import type { Snapshot } from '../../../operators/types.ts';
import type { Step } from '../../spec/graph.ts';

/** The states of a cut, which stay although its checkpoint is removed. */
export interface HeldCut {
  readonly states: ReadonlyMap<string, Snapshot>;
  /** Where the source goes on. */
  readonly positions: readonly Position[];
  release(): Promise<void>;
}

/** Holds a checkpoint's files by links in a directory of its own. */
export async function holdCut(path: string, directory: string, steps: readonly Step[]): Promise<HeldCut> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const { states, files } = await readManifest(path);
  const own = files.filter(({ uid }) => uid !== null);
  for (const { name } of own) await link(join(path, name), join(directory, name));
  const snapshots = Object.entries(states).map(([uid, { state }]): [string, Snapshot] => {
    const held = own.filter((file) => file.uid === uid).map(({ name }) => ({ name, path: join(directory, name) }));
    return [uid, held.length > 0 ? { state, files: held } : { state }];
  });
  const source = steps.find(({ kind }) => kind.kind === 'ingest')?.uid ?? '';
  const snapshot = snapshots.find(([uid]) => uid === source)?.[1];
  return {
    states: new Map(snapshots),
    positions: snapshot ? positionsIn(source, snapshot) : [],
    release: () => rm(directory, { recursive: true, force: true }),
  };
}
