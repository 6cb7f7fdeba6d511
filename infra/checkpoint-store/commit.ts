import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cut } from '../../operators/ports.ts';
import type { SnapshotFile } from '../../operators/types.ts';
import { cloneFile, digestFile, flush, moveFile } from '../durable-files.ts';
import { writeManifest } from './manifest.ts';
import type { Manifest, ManifestFile } from './manifest.ts';

/** A checkpoint about to be written. */
export interface Draft {
  /** The store's directory. */
  readonly directory: string;
  /** Where it is made before it is moved to `<directory>/<id>`; on the same file system. */
  readonly aside: string;
  readonly cut: Cut;
  /** Files that do not change during the job, copied into each checkpoint. */
  readonly files: readonly SnapshotFile[];
  readonly about: Pick<Manifest, 'id' | 'jobId' | 'describe'>;
}

/**
 * Makes a checkpoint aside, flushes it, and moves it to its place with one rename: a reader finds all of it or nothing,
 * whenever the process dies. When it fails it tidies up first.
 */
export async function commit(draft: Draft): Promise<Manifest> {
  const { directory, aside, about } = draft;
  try {
    await mkdir(aside);
    const manifest = { ...describeCut(draft), files: await takeFiles(draft) };
    await writeManifest(aside, manifest);
    await flush(aside);
    await rename(aside, join(directory, about.id));
    await flush(directory);
    return manifest;
  } catch (error) {
    await rm(aside, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
}

function describeCut({ cut, about }: Draft): Omit<Manifest, 'files'> {
  const states = [...cut.states].map(([uid, { state }]) => [uid, { state }] as const);
  return {
    formatVersion: 1,
    ...about,
    reason: cut.reason,
    createdAt: new Date().toISOString(),
    states: Object.fromEntries(states),
  };
}

/** Moves the operators' files into the draft, copies the static ones, and says what they are. */
async function takeFiles({ aside, cut, files }: Draft): Promise<ManifestFile[]> {
  const staged = [...cut.states].flatMap(([uid, snapshot]) => (snapshot.files ?? []).map((file) => ({ ...file, uid })));
  const all = [...staged, ...files.map((file) => ({ ...file, uid: null }))];
  checkNames(all.map(({ name }) => name));
  const taken: ManifestFile[] = [];
  for (const { name, path, uid } of all) {
    const target = join(aside, name);
    await (uid === null ? cloneFile(path, target) : moveFile(path, target));
    await flush(target);
    taken.push({ name, ...(await digestFile(target)), uid });
  }
  return taken;
}

function checkNames(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (!/^\w[\w.-]*$/.test(name) || name.startsWith('manifest.json')) {
      throw new Error(`"${name}" cannot name a file of a checkpoint: use letters, digits, dots and hyphens`);
    }
    if (seen.has(name)) throw new Error(`two files want to be called ${name}`);
    seen.add(name);
  }
}
