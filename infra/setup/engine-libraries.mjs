import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { damageOf, isWhole, makeBundle } from './cache.mjs';
import { fetchWheel } from './download.mjs';
import { hasOfficialEngine, installOfficialEngine } from './engine-official.mjs';
import { SetupError } from './failure.mjs';
import { run } from './process.mjs';
import { say } from './say.mjs';
import { findCompiler, findPip, installCommand } from './tools.mjs';
import { bundleName } from './wheels.mjs';

/** @import { Engine, Part } from './parts.mjs' */
/** @import { Need } from './tools.mjs' */

const extractScript = fileURLToPath(new URL('extract.py', import.meta.url));

/**
 * TensorFlow's C library and its headers, out of PyPI's wheel into the cache. Where no wheel fits, or the tools for this
 * way are missing, tfjs-node's own installer is tried.
 *
 * @param {Engine} engine
 * @returns {Part}
 */
export function engineLibraries({ wheel, cache, packageDir }) {
  const dir = wheel && join(cache, bundleName(wheel));
  return {
    name: 'TensorFlow libraries',
    async check({ thorough } = { thorough: false }) {
      if (hasOfficialEngine(packageDir())) return { ok: true, detail: "from tfjs-node's own installer" };
      if (!dir || !isWhole(dir)) return { ok: false, detail: dir ? `not in ${cache}` : 'not installed' };
      const damaged = thorough ? await damageOf(dir) : undefined;
      if (damaged) return { ok: false, detail: `${join(dir, damaged)} is damaged` };
      return { ok: true, detail: `${wheel.package} ${wheel.version} in ${dir}` };
    },
    async mend() {
      if (!wheel) {
        await installOfficialEngine(
          packageDir(),
          `PyPI has no TensorFlow for ${process.platform}-${process.arch}`,
          'use Linux (x64 or arm64) or macOS (arm64)',
        );
        return;
      }
      const pip = await findPip();
      /** @type {Need[]} */
      const missing = [];
      if (!(await findCompiler())) missing.push('compiler');
      if (!pip) missing.push('pip');
      if (!pip || missing.length > 0) {
        const names = missing.map((need) => (need === 'pip' ? "Python's pip" : 'C++ compiler'));
        await installOfficialEngine(packageDir(), `there is no ${names.join(' and no ')}`, installCommand(missing));
        return;
      }
      const path = await fetchWheel(wheel, cache, pip.command);
      say('unpacking TensorFlow');
      await makeBundle(cache, bundleName(wheel), async (folder) => {
        const { ok, output } = await run([...pip.command, extractScript, path, folder]);
        if (!ok) throw new SetupError(`${path} could not be unpacked:\n${output}`, `rm ${path} && npx millrace setup`);
      });
      await rm(path);
    },
  };
}
