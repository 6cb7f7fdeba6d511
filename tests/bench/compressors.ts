import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { venvPython } from '../support/python-venv.ts';
import { progress } from './report.ts';

const SCRIPT = fileURLToPath(new URL('compressors.py', import.meta.url));

export interface Compressed {
  readonly name: string;
  readonly bytes: number;
  readonly seconds: number;
}

const lineSchema: z.ZodType<Compressed> = z.object({ name: z.string(), bytes: z.number(), seconds: z.number() });

/** What general compressors bring some bytes to, in Python's standard library and two packages of PyPI. */
export async function compressors(data: Uint8Array): Promise<readonly Compressed[]> {
  const python = await venvPython('compressors-1', ['pyppmd==1.3.1', 'zstandard==0.25.0'], progress);
  const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  const results: Compressed[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const result = lineSchema.parse(JSON.parse(line));
    progress(`${result.name}: ${result.bytes} bytes`);
    results.push(result);
  });
  child.stdin.end(data);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`compressors.py ended with ${code}`);
  return results;
}
