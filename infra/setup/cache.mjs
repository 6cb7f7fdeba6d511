import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';

/** Lists a bundle's files; written last, so a folder without it is no bundle. */
const MANIFEST = 'bundle.json';

/**
 * @typedef {object} BundleFile
 * @property {string} path inside the bundle
 * @property {number} bytes
 * @property {string} sha256
 */

/** Where set-up keeps what is large or slow to make, for all projects of this user. */
export function cacheDir() {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return resolve(process.env['MILLRACE_CACHE'] || join(base, 'millrace'));
}

/**
 * Lends a folder on the cache's disk for work in progress.
 *
 * @template T
 * @param {string} cache
 * @param {(dir: string) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withScratch(cache, work) {
  await mkdir(join(cache, 'tmp'), { recursive: true });
  const dir = await mkdtemp(join(cache, 'tmp', 'x-'));
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Removes what killed processes have left of their work. Only for the holder of the cache's lock.
 *
 * @param {string} cache
 */
export async function sweep(cache) {
  await rm(join(cache, 'tmp'), { recursive: true, force: true });
}

/**
 * Makes a bundle: `fill` writes its files into a folder aside, which is then sealed with sizes and hashes, flushed to
 * disk and renamed. Whoever sees the bundle under its name therefore sees all of it, whenever this was interrupted. A
 * bundle of that name that is already there is replaced.
 *
 * @param {string} cache
 * @param {string} name
 * @param {(dir: string) => Promise<void>} fill
 */
export async function makeBundle(cache, name, fill) {
  await withScratch(cache, async (dir) => {
    const bundle = join(dir, 'bundle');
    await mkdir(bundle);
    await fill(bundle);
    const files = [];
    for (const path of await filesUnder(bundle)) files.push(await seal(bundle, path));
    await writeFile(join(bundle, MANIFEST), JSON.stringify({ files }, null, 2));
    await flush(join(bundle, MANIFEST));
    const target = join(cache, name);
    if (existsSync(target)) await rename(target, join(dir, 'replaced'));
    await rename(bundle, target);
  });
}

/**
 * Whether all files of a bundle are there with their sizes. Fast; what it cannot see, `damageOf` does.
 *
 * @param {string} dir
 */
export function isWhole(dir) {
  try {
    return filesOf(dir).every(({ path, bytes }) => statSync(join(dir, path)).size === bytes);
  } catch {
    return false;
  }
}

/**
 * The first file whose content does not match its hash.
 *
 * @param {string} dir
 * @returns {Promise<string | undefined>}
 */
export async function damageOf(dir) {
  for (const { path, sha256 } of filesOf(dir)) if ((await hashFile(join(dir, path))) !== sha256) return path;
  return undefined;
}

/** @param {string} path */
export async function hashFile(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}

/**
 * @param {string} dir
 * @returns {BundleFile[]}
 */
function filesOf(dir) {
  return JSON.parse(readFileSync(join(dir, MANIFEST), 'utf8')).files;
}

/** @param {string} dir */
async function filesUnder(dir) {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/**
 * @param {string} dir
 * @param {string} path
 * @returns {Promise<BundleFile>}
 */
async function seal(dir, path) {
  await flush(path);
  const { size } = await stat(path);
  return { path: relative(dir, path).split(sep).join('/'), bytes: size, sha256: await hashFile(path) };
}

/** @param {string} path */
async function flush(path) {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
