import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir, rename, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { damageOf, isWhole, makeBundle } from './cache.mjs';
import { loadEngine } from './engine-load.mjs';
import { hasOfficialEngine, installOfficialEngine } from './engine-official.mjs';
import { SetupError } from './failure.mjs';
import { run } from './process.mjs';
import { findPackage, installCommand as installModules } from './project.mjs';
import { say } from './say.mjs';
import { findCompiler, installCommand } from './tools.mjs';
import { bundleName } from './wheels.mjs';

/** @import { Engine, Part } from './parts.mjs' */
/** @import { Wheel } from './wheels.mjs' */

/** The newest Node-API that tfjs-node 4 names; every Node since 18 has it, so one addon serves them all. */
const NODE_API = 8;
const ADDON = 'tfjs_binding.node';

/**
 * tfjs-node's addon, compiled from the sources in the npm package into the cache, and the links in the package's folder
 * that lead to it and to TensorFlow's libraries.
 *
 * @param {Engine} engine
 * @returns {Part}
 */
export function engineAddon({ wheel, cache, packageDir }) {
  return {
    name: 'TensorFlow addon',
    async check({ thorough } = { thorough: false }) {
      const folder = packageDir();
      if (hasOfficialEngine(folder)) return { ok: true, detail: "from tfjs-node's own installer" };
      if (!folder || !wheel) return { ok: false, detail: 'not installed' };
      const bundle = addonBundle(folder, wheel, cache);
      if (!isWhole(bundle)) return { ok: false, detail: `not in ${cache}` };
      const damaged = thorough ? await damageOf(bundle) : undefined;
      if (damaged) return { ok: false, detail: `${join(bundle, damaged)} is damaged` };
      const astray = links(folder, wheel, cache).find(({ from, to }) => linkTarget(from) !== to);
      if (astray) return { ok: false, detail: `${astray.from} does not lead to ${astray.to}` };
      return { ok: true, detail: `compiled, in ${bundle}` };
    },
    async mend() {
      const folder = packageDir();
      if (!folder || !wheel) throw new SetupError('@tensorflow/tfjs-node is not installed', installModules);
      const bundle = addonBundle(folder, wheel, cache);
      if (!isWhole(bundle) || (await damageOf(bundle))) {
        const compiler = await findCompiler();
        if (!compiler) {
          await installOfficialEngine(folder, 'there is no C++ compiler', installCommand(['compiler']));
          return;
        }
        say('compiling the TensorFlow addon');
        await compile(compiler.command, folder, wheel, cache);
      }
      for (const link of links(folder, wheel, cache)) await place(link);
      await loadEngine(folder);
    },
  };
}

/**
 * Where the addon of these sources, this wheel and these flags is in the cache.
 *
 * @param {string} folder
 * @param {Wheel} wheel
 * @param {string} cache
 */
function addonBundle(folder, wheel, cache) {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([bundleName(wheel), flags(wheel), process.platform, process.arch]));
  const sources = join(folder, 'binding');
  for (const name of readdirSync(sources).toSorted()) hash.update(name).update(readFileSync(join(sources, name)));
  return join(cache, `addon-${hash.digest('hex').slice(0, 16)}`);
}

/**
 * @param {readonly string[]} compiler
 * @param {string} folder
 * @param {Wheel} wheel
 * @param {string} cache
 */
async function compile(compiler, folder, wheel, cache) {
  const headers = findPackage('node-api-headers');
  if (!headers) throw new SetupError('node-api-headers is not installed', installModules);
  const tensorflow = join(cache, bundleName(wheel));
  const sources = readdirSync(join(folder, 'binding')).filter((name) => name.endsWith('.cc'));
  const bundle = addonBundle(folder, wheel, cache).slice(cache.length + 1);
  await makeBundle(cache, bundle, async (dir) => {
    const { ok, output } = await run([
      ...compiler,
      ...flags(wheel),
      `-I${join(headers, 'include')}`,
      `-I${join(tensorflow, 'include')}`,
      ...sources.map((name) => join(folder, 'binding', name)),
      ...wheel.libraries.map((name) => join(tensorflow, 'lib', name)),
      '-o',
      join(dir, ADDON),
    ]);
    if (ok) return;
    const hint = `install a compiler with C++17 (${installCommand(['compiler'])}), or name one: CXX=g++-12 npx millrace setup`;
    throw new SetupError(`the addon could not be compiled with ${compiler.join(' ')}:\n${output}`, hint);
  });
}

/** @param {Wheel} wheel */
function flags(wheel) {
  const isMac = process.platform === 'darwin';
  const here = isMac ? '@loader_path' : '$ORIGIN';
  const shared = isMac ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
  // Node resolves links before it loads, so "here" is the cache; with --preserve-symlinks it is the package's folder.
  const search = [`${here}/../${bundleName(wheel)}/lib`, `${here}/../../deps/lib`].map((path) => `-Wl,-rpath,${path}`);
  return ['-std=c++17', '-O2', '-fPIC', `-DNAPI_VERSION=${NODE_API}`, ...shared, ...search];
}

/**
 * @param {string} folder
 * @param {Wheel} wheel
 * @param {string} cache
 */
function links(folder, wheel, cache) {
  const libraries = wheel.libraries.map((name) => ({
    from: join(folder, 'deps', 'lib', name),
    to: join(cache, bundleName(wheel), 'lib', name),
  }));
  const from = join(folder, 'lib', `napi-v${NODE_API}`, ADDON);
  return [...libraries, { from, to: join(addonBundle(folder, wheel, cache), ADDON) }];
}

/** @param {string} path */
function linkTarget(path) {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Replaces whatever is there in one step, so that a process that starts meanwhile finds the old or the new.
 *
 * @param {{ from: string, to: string }} link
 */
async function place({ from, to }) {
  await mkdir(dirname(from), { recursive: true });
  const aside = `${from}.${randomUUID()}`;
  await symlink(to, aside);
  await rename(aside, from);
}
