import { cacheDir } from './cache.mjs';
import { engineAddon } from './engine-addon.mjs';
import { engineLibraries } from './engine-libraries.mjs';
import { nodeModules } from './node-modules.mjs';
import { nodeVersion } from './node-version.mjs';
import { findPackage } from './project.mjs';
import { wheelForThisMachine } from './wheels.mjs';

/**
 * One thing that Millrace needs on the machine. A new one is a file of its own and a line in the list below.
 *
 * @typedef {object} Part
 * @property {string} name
 * @property {(how?: { thorough: boolean }) => Promise<Finding>} check
 *   takes milliseconds, as it runs before every start; `thorough` is for the doctor and may take seconds
 * @property {() => Promise<void>} mend rejects with a `SetupError`
 */

/**
 * @typedef {object} Finding
 * @property {boolean} ok
 * @property {string} detail what was found, or what is wrong
 * @property {string} [mend] what mends it, where set-up cannot
 */

/**
 * Where the engine's parts take from and put to.
 *
 * @typedef {object} Engine
 * @property {import('./wheels.mjs').Wheel | undefined} wheel undefined where none fits this machine
 * @property {string} cache
 * @property {() => string | undefined} packageDir folder of `@tensorflow/tfjs-node`, once it is installed
 */

/** @type {Engine} */
export const engine = {
  wheel: wheelForThisMachine(),
  cache: cacheDir(),
  packageDir: () => findPackage('@tensorflow/tfjs-node'),
};

/**
 * In the order in which they need each other.
 *
 * @type {readonly Part[]}
 */
export const parts = [nodeVersion, nodeModules, engineLibraries(engine), engineAddon(engine)];
