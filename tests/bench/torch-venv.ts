import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { userCache } from '../../infra/index.ts';
import { progress } from './report.ts';

const run = promisify(execFile);

/**
 * PyPI's wheel for Linux is linked against CUDA's libraries and does not load without them, whether or not there is a
 * GPU; so pip fetches those too.
 */
const PACKAGES = ['torch==2.15.0', 'numpy==2.4.6', 'safetensors==0.8.0'];
const NAME = 'torch-2.15.0';
const TRANSFORMERS = 'transformers==5.23.0';

/** The Python of a virtual environment with PyTorch, which is made in the user's cache when it is not there yet. */
export async function torchPython(): Promise<string> {
  const cache = userCache();
  const venv = join(cache, NAME);
  const python = join(venv, 'bin', 'python');
  if (existsSync(python)) return python;
  progress(`installing PyTorch from PyPI into ${venv}, once: 3 GB to download, 5.5 GB on disk`);
  await mkdir(join(cache, 'tmp'), { recursive: true });
  // Renamed when it is complete, so that an interrupted installation is never taken for one.
  const scratch = await mkdtemp(join(cache, 'tmp', 'torch-'));
  try {
    await run('python3', ['-m', 'venv', scratch]);
    await run(join(scratch, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', ...PACKAGES]);
    await rename(scratch, venv);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return python;
}

/** Where transformers lies, for PYTHONPATH beside the environment above; installed into the user's cache when it is not there. */
export async function transformersPath(): Promise<string> {
  const folder = join(userCache(), TRANSFORMERS.replace('==', '-'));
  if (existsSync(folder)) return folder;
  const python = await torchPython();
  progress(`installing ${TRANSFORMERS} from PyPI into ${folder}, once: 275 MB on disk`);
  const scratch = await mkdtemp(join(userCache(), 'tmp', 'transformers-'));
  try {
    await run(python, ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', '--target', scratch, TRANSFORMERS]);
    await rename(scratch, folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return folder;
}
