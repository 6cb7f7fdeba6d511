import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { makeOnce } from './make-once.ts';

const run = promisify(execFile);

const VERSION = '3.22.1';
const script = fileURLToPath(new URL('../interop/llama.mjs', import.meta.url));

/** What llama.mjs prints. */
export interface Said {
  /** Whether texts are to begin with the end-of-text token. */
  readonly begins: boolean;
  readonly tokens: readonly (readonly number[])[];
  readonly said: readonly number[];
  readonly text: string;
}

const saidSchema: z.ZodType<Said> = z.object({
  begins: z.boolean(),
  tokens: z.array(z.array(z.number())),
  said: z.array(z.number()),
  text: z.string(),
});

/** Asks llama.cpp for the tokens of texts, and for what it says behind a prompt, always the likeliest. */
export async function askLlama(file: string, texts: readonly string[], prompt: string, count: number): Promise<Said> {
  const folder = await llamaPackage();
  const entry = join(folder, 'node_modules', 'node-llama-cpp', 'dist', 'index.js');
  const args = [script, entry, file, JSON.stringify(texts), prompt, String(count)];
  const { stdout } = await run(process.execPath, args);
  return saidSchema.parse(JSON.parse(stdout));
}

/** The package without its variants for graphics cards, which are ten times as large; its binaries come from npm, too. */
function llamaPackage(): Promise<string> {
  return makeOnce(`node-llama-cpp-${VERSION}`, 'npm', console.log, async (scratch) => {
    await writeFile(join(scratch, 'package.json'), '{"private": true}\n');
    const packages = ['node-llama-cpp', `@node-llama-cpp/linux-${process.arch}`].map((name) => `${name}@${VERSION}`);
    const quiet = ['--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund'];
    await run('npm', ['install', ...quiet, ...packages], { cwd: scratch });
  });
}
