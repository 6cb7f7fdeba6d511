import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';

export type Precision = 'f32' | 'bf16';

/** FLOP/s by precision. */
export type Peaks = Readonly<Record<Precision, number>>;

const peaksSchema = z.strictObject({ f32: z.number(), bf16: z.number() });

/** The most that a product of large matrices reaches on this machine, in a process of its own that leaves nothing behind. */
export async function matmulPeaks(): Promise<Peaks> {
  const script = fileURLToPath(new URL('./matmul-peak-main.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script]);
  return peaksSchema.parse(JSON.parse(stdout));
}
