import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Figure } from '../report.ts';

const printedSchema = z.object({ settled: z.number(), peak: z.number() });

/** A process of its own reads that many records of a topic into documents; what it needs of memory, its own. */
export async function memoryFigures(name: string, place: string, topic: string, count: number): Promise<Figure[]> {
  const main = fileURLToPath(new URL('memory-main.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--import',
    'tsx',
    main,
    place,
    topic,
    String(count),
  ]);
  const { settled, peak } = printedSchema.parse(JSON.parse(stdout));
  return [
    { case: name, metric: 'settledOwnBytes', value: settled, unit: 'bytes' },
    { case: name, metric: 'peakOwnBytes', value: peak, unit: 'bytes' },
  ];
}
