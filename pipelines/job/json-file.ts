import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';

/** What a file of a job says; null where there is none. Rejects with `state-invalid` and the advice when it says nothing that fits. */
export async function readJsonFile<T>(path: string, schema: z.ZodType<T>, advice: string): Promise<T | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new MillraceError('state-invalid', `${path} ${advice}`, { cause });
  }
}
