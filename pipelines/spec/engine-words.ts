import { z } from 'zod';
import type { EngineSettings } from '../../model/settings.ts';

/** What a command line says of the engine; what it leaves open is for the rule of thumb. */
export type EngineWords = 'auto' | 'eager' | Partial<Omit<Extract<EngineSettings, { mode: 'compiled' }>, 'mode'>>;

const threadsSchema = z.coerce.number().int().positive();

/** Reads `auto`, `eager`, or words with commas between: `f32` or `bf16`, `xla` or `no-xla`, `threads=2`. Null for others. */
export function parseEngineWords(text: string): EngineWords | null {
  if (text === 'auto' || text === 'eager') return text;
  const words = text.split(',').map((word) => setting(word.trim()));
  return words.some((word) => word === null) ? null : Object.assign({}, ...words);
}

function setting(word: string): Exclude<EngineWords, string> | null {
  if (word === 'f32' || word === 'bf16') return { precision: word };
  if (word === 'xla' || word === 'no-xla') return { xla: word === 'xla' };
  const threads = threadsSchema.safeParse(/^threads=(\d+)$/.exec(word)?.[1]);
  return threads.success ? { threads: threads.data } : null;
}
