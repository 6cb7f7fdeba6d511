import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SetupError } from './failure.mjs';
import { run } from './process.mjs';
import { findPackage, installCommand, isCheckout, projectDir } from './project.mjs';
import { say } from './say.mjs';

/** @import { Finding, Part } from './parts.mjs' */

/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {string} [integrity]
 * @property {boolean} [optional]
 * @property {readonly string[]} [os]
 * @property {readonly string[]} [cpu]
 */

/**
 * The npm packages of the lock file. npm writes what it has installed to `node_modules/.package-lock.json` when it is
 * done; the two are compared, so an interrupted installation and a changed lock file are both seen.
 *
 * @type {Part}
 */
export const nodeModules = {
  name: 'Node modules',
  check: isCheckout ? checkAgainstLockFile : checkInstalled,
  async mend() {
    if (!isCheckout) throw new SetupError('the packages that Millrace depends on are not installed', installCommand);
    say(`installing node modules (${installCommand})`);
    const { ok, output } = await run(installCommand.split(' '), { cwd: projectDir });
    if (!ok) throw new SetupError(`npm could not install the node modules:\n${output}`, installCommand);
  },
};

/** @returns {Promise<Finding>} */
async function checkAgainstLockFile() {
  const wanted = await readPackages(join(projectDir, 'package-lock.json'));
  const installed = await readPackages(join(projectDir, 'node_modules', '.package-lock.json'));
  if (!wanted) return { ok: false, detail: 'package-lock.json cannot be read', mend: 'git checkout package-lock.json' };
  if (!installed) return { ok: false, detail: 'not installed' };
  const stale = [...wanted].find(([path, locked]) => isStale(locked, installed.get(path)));
  if (stale) return { ok: false, detail: `${stale[0]} is not as in package-lock.json` };
  return { ok: true, detail: `${installed.size} packages, as in package-lock.json` };
}

/**
 * @param {LockedPackage} locked
 * @param {LockedPackage | undefined} found
 */
function isStale(locked, found) {
  if (!found) return !locked.optional; // the optional ones are binaries for one kind of machine each
  if (found.version !== locked.version) return true;
  if (found.integrity && locked.integrity && found.integrity !== locked.integrity) return true;
  // Installed on another kind of machine and brought here, as folders shared with a container are.
  return found.os?.includes(process.platform) === false || found.cpu?.includes(process.arch) === false;
}

/** @returns {Promise<Finding>} */
async function checkInstalled() {
  const missing = ['@tensorflow/tfjs-node', 'node-api-headers'].find((name) => !findPackage(name));
  if (missing) return { ok: false, detail: `${missing} is not installed`, mend: installCommand };
  return { ok: true, detail: 'installed with the package' };
}

/**
 * @param {string} path
 * @returns {Promise<Map<string, LockedPackage> | undefined>}
 */
async function readPackages(path) {
  try {
    const { packages } = JSON.parse(await readFile(path, 'utf8'));
    delete packages['']; // the project itself
    return new Map(Object.entries(packages));
  } catch {
    return undefined;
  }
}
