import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { userCache } from '../../../infra/index.ts';
import { randomFrom } from '../../support/random.ts';
import { progress } from '../report.ts';

const run = promisify(execFile);
const PACKAGE = new URL('../../../package.json', import.meta.url);
const versions = z.record(z.string(), z.string());
const packageSchema = z.object({ dependencies: versions, devDependencies: versions });

/** Of this project's packages, so many are asked for in a run. */
const SHARE = 0.5;
const MOST_RUNS = 500;

/**
 * Lines of npm's own debug logs, at its finest level: npm works out again and again, without installing anything, how it
 * would install a random half of this project's packages. What it then says depends on the packages, the registry, its cache
 * and the clock. Kept in the user's cache, since it takes minutes.
 */
export async function npmLogLines(count: number, seed: number): Promise<readonly string[]> {
  const file = join(userCache(), 'bench', `npm-log-${count}-${seed}.txt`);
  if (!existsSync(file)) {
    const lines = await makeLog(count, randomFrom(seed));
    await mkdir(join(userCache(), 'bench'), { recursive: true });
    await writeFile(`${file}.part`, lines.join('\n'));
    await rename(`${file}.part`, file);
  }
  return (await readFile(file, 'utf8')).split('\n');
}

async function makeLog(count: number, random: () => number): Promise<readonly string[]> {
  const { dependencies, devDependencies } = packageSchema.parse(JSON.parse(readFileSync(PACKAGE, 'utf8')));
  const packages = Object.entries({ ...dependencies, ...devDependencies });
  const lines: string[] = [];
  for (let at = 0; at < MOST_RUNS && lines.length < count; at++) {
    lines.push(...(await logOf(packages.filter(() => random() < SHARE))));
    progress(`${lines.length} of ${count} lines of npm's debug logs`);
  }
  if (lines.length < count) throw new Error('npm says too little. Can it reach a registry? Try: npm view rxjs');
  return lines.slice(0, count);
}

/** What npm logs of one run. */
async function logOf(packages: readonly (readonly [string, string])[]): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-npm-'));
  try {
    const logs = join(folder, 'logs');
    const manifest = { name: 'app', version: '1.0.0', dependencies: Object.fromEntries(packages) };
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
    await run('npm', ['install', '--dry-run', ...quiet, '--loglevel', 'silly', '--logs-dir', logs], {
      cwd: folder,
      maxBuffer: 2 ** 30,
    });
    const files = (await readdir(logs)).toSorted();
    const texts = await Promise.all(files.map((name) => readFile(join(logs, name), 'utf8')));
    return texts.flatMap((text) => text.split('\n').filter((line) => line !== ''));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
