import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint, CheckpointInfo } from '../../operators/ports.ts';
import type { Snapshot } from '../../operators/types.ts';
import { digestFile } from '../durable-files.ts';
import { corrupt, readManifest } from './manifest.ts';
import type { Manifest } from './manifest.ts';

/** Reads every byte of the checkpoint in a directory. Rejects with `checkpoint-corrupt` unless all match. */
export async function readIntact(directory: string): Promise<Checkpoint> {
  const manifest = await readManifest(directory);
  for (const file of manifest.files) {
    const found = await digestFile(join(directory, file.name)).catch((cause: unknown) => {
      throw corrupt(directory, `${file.name} cannot be read`, cause);
    });
    if (found.bytes !== file.bytes) {
      throw corrupt(directory, `${file.name} has ${found.bytes} bytes instead of ${file.bytes}`);
    }
    if (found.sha256 !== file.sha256) throw corrupt(directory, `${file.name} does not match its checksum`);
  }
  return { ...toInfo(directory, manifest), states: toStates(directory, manifest) };
}

/** Whether manifest and sizes are right; much quicker than to read all. */
export async function looksIntact(directory: string): Promise<boolean> {
  try {
    const { files } = await readManifest(directory);
    const sizes = await Promise.all(files.map(async ({ name }) => (await stat(join(directory, name))).size));
    return files.every(({ bytes }, index) => bytes === sizes[index]);
  } catch {
    return false;
  }
}

export function toInfo(directory: string, { id, reason, createdAt, files }: Manifest): CheckpointInfo {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return { id, reason, createdAtMs: Date.parse(createdAt), bytes, path: directory };
}

function toStates(directory: string, { states, files }: Manifest): ReadonlyMap<string, Snapshot> {
  const snapshots = Object.entries(states).map(([uid, { state }]): [string, Snapshot] => {
    const own = files.filter((file) => file.uid === uid).map(({ name }) => ({ name, path: join(directory, name) }));
    return [uid, own.length > 0 ? { state, files: own } : { state }];
  });
  return new Map(snapshots);
}
