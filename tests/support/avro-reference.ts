import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { venvPython } from './python-venv.ts';

const PACKAGE = 'avro==1.12.2';
const SCRIPT = fileURLToPath(new URL('avro_reference.py', import.meta.url));

export type Question =
  | { readonly do: 'encode'; readonly schema: string; readonly value: unknown }
  | { readonly do: 'decode'; readonly writer: string; readonly reader: string; readonly hex: string }
  | { readonly do: 'can_read'; readonly reader: string; readonly writer: string };

/** Answers of Apache Avro's implementation for Python, which is fetched from PyPI into the user's cache the first time. */
export async function askReference(questions: readonly Question[]): Promise<unknown[]> {
  const child = spawn(await venvPython(PACKAGE.replace('==', '-'), [PACKAGE], console.log), [SCRIPT], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(questions.map((question) => `${JSON.stringify(question)}\n`).join(''));
  const output = await text(child.stdout);
  return output
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
}
