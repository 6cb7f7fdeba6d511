import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Figure } from '../report.ts';
import type { SectionName } from './sections.ts';

const figuresSchema: z.ZodType<readonly Figure[]> = z.array(
  z.object({ case: z.string(), metric: z.string(), value: z.number(), unit: z.string() }),
);

/**
 * Measures one section of the bench against the log at a place. Each has a process of its own, as a job has: what another
 * pipeline has taught the compiler before would make this one slower.
 */
export async function measureSection(name: SectionName, place: string, rounds: number): Promise<readonly Figure[]> {
  const main = fileURLToPath(new URL('section-main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', main, name, place, String(rounds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (code !== 0) throw new Error(`The section ${name} ended with code ${code}.`);
  return figuresSchema.parse(JSON.parse(output));
}
