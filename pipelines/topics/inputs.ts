import { createReadStream } from 'node:fs';
import { access, constants, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal } from 'node:stream';
import type { Readable } from 'node:stream';
import { MillraceError } from '../../operators/errors.ts';

/** Something to read text from: a file, or standard input. */
export interface Input {
  readonly name: string;
  /** Unknown for what is no regular file. */
  readonly bytes: number | null;
  /** Reads it as bytes, into chunks that are never reused. Fails when the signal aborts. */
  read(signal: AbortSignal): Readable;
}

export interface Inputs {
  readonly inputs: readonly Input[];
  /** Files in folders that hold no text. */
  readonly binaries: readonly string[];
}

/** Names standard input on the command line, as with other tools. */
const STDIN = '-';
const standardInput: Input = {
  name: 'standard input',
  bytes: null,
  read: (signal) => addAbortSignal(signal, process.stdin),
};
/** A NUL byte in so many first bytes tells that a file is no text (git's rule). */
const SNIFF_BYTES = 8000;

/**
 * Finds what paths name, before anything is read: files in the order given, the text files of a folder by name, folders
 * in it included. In folders, hidden files and links are left out; with `extensions`, so are other files.
 *
 * Errors: `bad-usage` for a path that is not there, can't be read, or has no text in it.
 */
export async function findInputs(paths: readonly string[], extensions: readonly string[] | null): Promise<Inputs> {
  const inputs: Input[] = [];
  const binaries: string[] = [];
  for (const path of paths) {
    if (path === STDIN) {
      inputs.push(standardInput);
      continue;
    }
    const stats = await stat(path).catch((cause: unknown) => {
      throw new MillraceError('bad-usage', `There is no file or folder ${path}. Nothing was produced.`, { cause });
    });
    if (!stats.isDirectory()) {
      await readable(path, () => access(path, constants.R_OK));
      inputs.push(fileInput(path, stats.isFile() ? stats.size : null));
      continue;
    }
    const before = inputs.length;
    for (const file of await readable(path, () => filesIn(path, extensions))) {
      if (await readable(file, () => isText(file))) inputs.push(fileInput(file, (await stat(file)).size));
      else binaries.push(file);
    }
    if (inputs.length > before) continue;
    const kind = extensions ? `.${extensions.join(' or .')} files with text` : 'text files';
    throw new MillraceError('bad-usage', `The folder ${path} has no ${kind} in it. Nothing was produced.`);
  }
  if (inputs.filter((input) => input === standardInput).length < 2) return { inputs, binaries };
  throw new MillraceError('bad-usage', 'Standard input (-) can be read only once. Nothing was produced.');
}

function fileInput(path: string, bytes: number | null): Input {
  return { name: path, bytes, read: (signal) => createReadStream(path, { signal, highWaterMark: 256 * 1024 }) };
}

async function filesIn(folder: string, extensions: readonly string[] | null): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) files.push(...(await filesIn(path, extensions)));
    if (entry.isFile() && (extensions?.some((each) => path.endsWith(`.${each}`)) ?? true)) files.push(path);
  }
  return files;
}

async function isText(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
    return !buffer.subarray(0, bytesRead).includes(0);
  } finally {
    await file.close();
  }
}

async function readable<T>(path: string, attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (cause) {
    throw new MillraceError('bad-usage', `${path} can't be read. Nothing was produced.`, { cause });
  }
}
