import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeOnce } from './make-once.ts';

const run = promisify(execFile);

/** What pip is told: requirements with exact versions, or a file of them. */
export type Packages = readonly string[] | { readonly file: string };

/**
 * The Python of a virtual environment that holds packages from PyPI. It is made in the user's cache when it is not there
 * yet, of which `say` is told.
 */
export async function venvPython(name: string, packages: Packages, say: (text: string) => void): Promise<string> {
  const venv = await makeOnce(name, 'PyPI', say, async (scratch) => {
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
  return makeOnce(name, 'PyPI', say, (scratch) => {
    return pipInstall(python, ['--target', scratch, ...argumentsOf(packages)]);
  });
}

async function pipInstall(python: string, what: readonly string[]): Promise<void> {
  await run(python, ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', '--disable-pip-version-check', ...what]);
}

function argumentsOf(packages: Packages): readonly string[] {
  return 'file' in packages ? ['--requirement', packages.file] : packages;
}
