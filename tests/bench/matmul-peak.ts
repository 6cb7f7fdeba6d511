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

/** Of two measurements: what disturbs one can only make it smaller. */
export function greaterOf(a: Peaks, b: Peaks): Peaks {
  return { f32: Math.max(a.f32, b.f32), bf16: Math.max(a.bf16, b.bf16) };
}
