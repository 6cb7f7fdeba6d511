import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of Millrace: a checkout, or where it was installed as a package. */
export const projectDir = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A checkout has its own node modules and a lock file for them; a package is given its node modules by who installs it. */
export const isCheckout = existsSync(join(projectDir, 'package-lock.json'));

/** Installs Millrace's node modules. tfjs-node's own install script is left out: it needs a host that many cannot reach. */
export const installCommand = isCheckout ? 'npm ci --ignore-scripts' : 'npm install --ignore-scripts millrace';

/**
 * The folder of an npm package that Millrace depends on, wherever npm has put it.
 *
 * @param {string} name
 * @returns {string | undefined}
 */
export function findPackage(name) {
  try {
    return dirname(createRequire(join(projectDir, 'package.json')).resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}
