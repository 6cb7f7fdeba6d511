import { SetupError } from './failure.mjs';
import { run } from './process.mjs';

const MARK = 'millrace-engine:';

/** Runs in a process of its own, since a broken library ends the process that loads it. */
const script = `
  const util = require('node:util');
  util.isNullOrUndefined ??= (value) => value == null; // gone since Node 23, tfjs-node 4.22 calls it
  const tf = require(process.argv[1]);
  const product = tf.matMul([[1, 2]], [[3], [4]]).dataSync()[0];
  if (product !== 11) throw new Error('1·3 + 2·4 gave ' + product);
  console.log('${MARK}' + tf.backend().binding.TF_Version);
`;

/**
 * Loads TensorFlow and multiplies two matrices with it.
 *
 * @param {string} packageDir
 * @returns {Promise<string>} the version that answered
 */
export async function loadEngine(packageDir) {
  const env = { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env };
  const { ok, output } = await run([process.execPath, '-e', script, packageDir], { env, timeoutMs: 120_000 });
  const version = output.split('\n').find((line) => line.startsWith(MARK));
  if (ok && version) return version.slice(MARK.length);
  throw new SetupError(`TensorFlow does not load:\n${output || 'the process ended without a word'}`, remedy(output));
}

/** @param {string} output */
function remedy(output) {
  if (/GLIBC(XX)?_[\d.]+' not found|ld-linux/.test(output)) {
    return 'use a Linux with glibc 2.27 or later (Debian 10, Ubuntu 18.04, Fedora 28 or newer; not Alpine)';
  }
  if (/illegal instruction|SIGILL/i.test(output)) return 'use a CPU with AVX, which TensorFlow is built for';
  return 'npx millrace doctor shows what is there; with an emptied cache (MILLRACE_CACHE) set-up starts afresh';
}
