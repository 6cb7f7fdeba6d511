import { lstatSync, readdirSync } from 'node:fs';
import { join, sep } from 'node:path';
import { SetupError } from './failure.mjs';
import { run } from './process.mjs';
import { installCommand } from './project.mjs';
import { say } from './say.mjs';

const TIMEOUT_MS = 15 * 60_000;

/**
 * Whether tfjs-node's own installer has been at work. What it leaves are files; what this set-up places are links.
 *
 * @param {string | undefined} packageDir
 */
export function hasOfficialEngine(packageDir) {
  if (!packageDir) return false;
  try {
    const isFile = lstatSync(join(packageDir, 'lib', 'napi-v8', 'tfjs_binding.node')).isFile();
    const libraries = readdirSync(join(packageDir, 'deps', 'lib'));
    return isFile && libraries.some((name) => /^(lib)?tensorflow\.(so|dll|\d|dylib)/.test(name));
  } catch {
    return false;
  }
}

/**
 * The last resort: tfjs-node's own install script, which fetches an older TensorFlow from a host that many networks
 * cannot reach.
 *
 * @param {string | undefined} packageDir
 * @param {string} reason why the usual way is closed
 * @param {string} mend the command that opens it
 */
export async function installOfficialEngine(packageDir, reason, mend) {
  if (!packageDir) throw new SetupError('@tensorflow/tfjs-node is not installed', installCommand);
  say(`${reason}: trying tfjs-node's own installer`);
  // npm runs a package's install script from the folder that holds node_modules.
  const [host = packageDir] = packageDir.split(`${sep}node_modules${sep}`);
  const rebuild = ['npm', 'rebuild', '@tensorflow/tfjs-node', '--ignore-scripts=false', '--foreground-scripts'];
  const { output } = await run(rebuild, { cwd: host, timeoutMs: TIMEOUT_MS });
  if (hasOfficialEngine(packageDir)) return;
  const cause = process.env['DEBUG'] ? `:\n${output}` : ' (DEBUG=1 shows why)';
  throw new SetupError(`${reason}, and tfjs-node's own installer did not succeed either${cause}`, mend);
}
