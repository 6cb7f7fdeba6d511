import { readdir, rename, stat, statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hashFile, withScratch } from './cache.mjs';
import { SetupError } from './failure.mjs';
import { run } from './process.mjs';
import { progress } from './say.mjs';

/** @import { Wheel } from './wheels.mjs' */

const POLL_MS = 250;
/** The libraries unpack to this many times the wheel's size. */
const UNPACKED = 3.5;

/**
 * Fetches a wheel into the cache, through pip so that proxies, mirrors and indexes are those that pip is set up for.
 * The file gets its name only when its hash is right; one that is there already, from an interrupted set-up, is used.
 *
 * @param {Wheel} wheel
 * @param {string} cache
 * @param {readonly string[]} python
 * @returns {Promise<string>} path of the wheel
 */
export async function fetchWheel(wheel, cache, python) {
  const path = join(cache, `${wheel.package}-${wheel.version}-${wheel.platform}.whl`);
  if (await matches(path, wheel)) return path;
  await withScratch(cache, async (dir) => {
    await needSpace(wheel, cache);
    await rename(await download(wheel, dir, python), path);
  });
  return path;
}

/**
 * @param {Wheel} wheel
 * @param {string} dir
 * @param {readonly string[]} python
 */
async function download(wheel, dir, python) {
  const bar = progress(`downloading TensorFlow ${wheel.version}`, wheel.bytes);
  bar.at(0);
  // pip collects the file in its temporary folder, which is set below to one that can be watched.
  const watch = setInterval(() => void largestFile(dir).then((largest) => bar.at(largest.bytes)), POLL_MS);
  const { ok, output } = await run([...python, ...pipArguments(wheel, dir)], {
    env: { ...process.env, TMPDIR: dir },
  }).finally(() => {
    clearInterval(watch);
    bar.end();
  });
  const again = 'check the network (pip takes HTTPS_PROXY and PIP_INDEX_URL), then: npx millrace setup';
  if (!ok) throw new SetupError(`pip could not download ${wheel.package} ${wheel.version}:\n${output}`, again);
  const fetched = await largestFile(dir);
  if (!(await matches(fetched.path, wheel))) {
    throw new SetupError(
      `the download ${basename(fetched.path)} is damaged: its SHA-256 is not ${wheel.sha256}`,
      again,
    );
  }
  return fetched.path;
}

/**
 * @param {Wheel} wheel
 * @param {string} dir
 */
function pipArguments(wheel, dir) {
  const anyPython = ['--only-binary=:all:', '--implementation', 'cp', '--python-version', '3.11', '--abi', 'cp311'];
  const quiet = ['--quiet', '--disable-pip-version-check', '--no-cache-dir'];
  const what = ['--no-deps', '--platform', wheel.platform, '--dest', dir, `${wheel.package}==${wheel.version}`];
  return ['-m', 'pip', 'download', ...quiet, ...anyPython, ...what];
}

/**
 * @param {string} path
 * @param {Wheel} wheel
 */
async function matches(path, { bytes, sha256 }) {
  const found = await stat(path).catch(() => undefined);
  return found?.size === bytes && (await hashFile(path)) === sha256;
}

/**
 * @param {Wheel} wheel
 * @param {string} cache
 */
async function needSpace(wheel, cache) {
  const { bavail, bsize } = await statfs(cache);
  const freeBytes = bavail * bsize;
  // pip holds the wheel twice for a moment.
  const neededBytes = wheel.bytes * (2 + UNPACKED);
  if (freeBytes >= neededBytes) return;
  throw new SetupError(
    `${cache} has ${gigabytes(freeBytes)} GB free, TensorFlow needs ${gigabytes(neededBytes)} GB`,
    'free some space, or choose a folder on another disk: MILLRACE_CACHE=/path/to/folder npx millrace setup',
  );
}

/** @param {number} bytes */
function gigabytes(bytes) {
  return (bytes / 1e9).toFixed(1);
}

/**
 * @param {string} dir
 * @returns {Promise<{ path: string, bytes: number }>}
 */
async function largestFile(dir) {
  let largest = { path: '', bytes: 0 };
  for (const name of await readdir(dir, { recursive: true }).catch(() => [])) {
    const path = join(dir, name);
    const found = await stat(path).catch(() => undefined); // pip may have moved it
    if (found?.isFile() && found.size > largest.bytes) largest = { path, bytes: found.size };
  }
  return largest;
}
