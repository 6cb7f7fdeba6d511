import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { userCache } from '../../infra/index.ts';

/**
 * Makes a folder of the user's cache where it is not there yet, of which `say` is told. Renamed when it is complete, so that an
 * interrupted installation is never taken for one.
 */
export async function makeOnce(
  name: string,
  from: string,
  say: (text: string) => void,
  fill: (scratch: string) => Promise<unknown>,
): Promise<string> {
  const folder = join(userCache(), name);
  if (existsSync(folder)) return folder;
  say(`installing from ${from} into ${folder}, once`);
  const temporary = join(userCache(), 'tmp');
  await mkdir(temporary, { recursive: true });
  const scratch = await mkdtemp(join(temporary, 'install-'));
  try {
    await fill(scratch);
    await rename(scratch, folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return folder;
}
