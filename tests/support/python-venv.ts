import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { userCache } from '../../infra/index.ts';

const run = promisify(execFile);

/** What pip is told: requirements with exact versions, or a file of them. */
export type Packages = readonly string[] | { readonly file: string };

/**
 * The Python of a virtual environment that holds packages from PyPI. It is made in the user's cache when it is not there
 * yet, of which `say` is told.
 */
export async function venvPython(name: string, packages: Packages, say: (text: string) => void): Promise<string> {
  const venv = join(userCache(), name);
  await makeOnce(venv, say, async (scratch) => {
    await run('python3', ['-m', 'venv', scratch]);
    await pipInstall(join(scratch, 'bin', 'python'), argumentsOf(packages));
  });
  return join(venv, 'bin', 'python');
}

/** A folder of packages for PYTHONPATH, beside an environment that has what they need; made like it. */
export async function packagesFolder(
  name: string,
  python: string,
  packages: Packages,
  say: (text: string) => void,
): Promise<string> {
  const folder = join(userCache(), name);
  await makeOnce(folder, say, (scratch) => pipInstall(python, ['--target', scratch, ...argumentsOf(packages)]));
  return folder;
}

/** Renamed when it is complete, so that an interrupted installation is never taken for one. */
async function makeOnce(
  folder: string,
  say: (text: string) => void,
  fill: (scratch: string) => Promise<unknown>,
): Promise<void> {
  if (existsSync(folder)) return;
  say(`installing from PyPI into ${folder}, once`);
  const temporary = join(userCache(), 'tmp');
  await mkdir(temporary, { recursive: true });
  const scratch = await mkdtemp(join(temporary, 'python-'));
  try {
    await fill(scratch);
    await rename(scratch, folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function pipInstall(python: string, what: readonly string[]): Promise<void> {
  await run(python, ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', '--disable-pip-version-check', ...what]);
}

function argumentsOf(packages: Packages): readonly string[] {
  return 'file' in packages ? ['--requirement', packages.file] : packages;
}
