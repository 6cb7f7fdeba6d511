import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PACKAGE = 'avro==1.12.2';
const SCRIPT = fileURLToPath(new URL('avro_reference.py', import.meta.url));

export type Question =
  | { readonly do: 'encode'; readonly schema: string; readonly value: unknown }
  | { readonly do: 'decode'; readonly writer: string; readonly reader: string; readonly hex: string }
  | { readonly do: 'can_read'; readonly reader: string; readonly writer: string };

/** Answers of Apache Avro's implementation for Python, which is fetched from PyPI into the user's cache the first time. */
export async function askReference(questions: readonly Question[]): Promise<unknown[]> {
  const child = spawn(await python(), [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(questions.map((question) => `${JSON.stringify(question)}\n`).join(''));
  const output = await text(child.stdout);
  return output
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
}

async function python(): Promise<string> {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const cache = resolve(process.env['MILLRACE_CACHE'] || join(base, 'millrace'));
  const venv = join(cache, PACKAGE.replace('==', '-'));
  const found = join(venv, 'bin', 'python');
  if (existsSync(found)) return found;
  await mkdir(join(cache, 'tmp'), { recursive: true });
  // Renamed when it is complete, so that an interrupted installation is never taken for one.
  const scratch = await mkdtemp(join(cache, 'tmp', 'avro-'));
  try {
    await run('python3', ['-m', 'venv', scratch]);
    await run(join(scratch, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', PACKAGE]);
    await rename(scratch, venv);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return found;
}
