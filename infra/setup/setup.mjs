import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDir, sweep } from './cache.mjs';
import { explain, SetupError } from './failure.mjs';
import { withLock } from './lock.mjs';
import { parts } from './parts.mjs';
import { say } from './say.mjs';

/** @import { Part } from './parts.mjs' */

/**
 * Brings this machine to where Millrace runs. Says nothing and takes milliseconds when all is there. Safe to interrupt,
 * to repeat and to run twice at once.
 *
 * @param {{ thorough: boolean, parts?: readonly Part[] }} how `thorough` compares the cache with its hashes
 */
export async function setup({ thorough, parts: wanted = parts }) {
  if (!(await firstMissing(wanted, thorough))) return;
  const cache = cacheDir();
  await withLock(join(cache, 'lock'), async () => {
    await sweep(cache);
    // A part may be missing only because one before it was, so each is looked at when its turn comes.
    for (const part of wanted) if (!(await part.check({ thorough })).ok) await part.mend();
    const missing = await firstMissing(wanted, false);
    if (missing) throw new SetupError(missing, 'npx millrace doctor shows more');
  });
  say('set-up is complete');
}

/**
 * @param {readonly Part[]} wanted
 * @param {boolean} thorough
 * @returns {Promise<string | undefined>}
 */
async function firstMissing(wanted, thorough) {
  for (const { name, check } of wanted) {
    const { ok, detail } = await check({ thorough });
    if (!ok) return `${name}: ${detail}`;
  }
  return undefined;
}

/**
 * The set-up as a command. Returns its exit code.
 *
 * @param {Parameters<typeof setup>[0]} how
 */
export async function main(how) {
  try {
    await setup(how);
    return 0;
  } catch (error) {
    console.error(explain(error));
    return 1;
  }
}

const isMain = process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
if (isMain) process.exitCode = await main({ thorough: false });
