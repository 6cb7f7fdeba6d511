import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelSpec } from '../spec/graph.ts';

/**
 * The weights of a checkpoint that answer prompts: the running mean where one is kept, unless the graph wants those of
 * the last step. A checkpoint from before the mean was kept has only these.
 */
export function spokenWeights(checkpoint: string, { ema, speak }: Pick<ModelSpec, 'ema' | 'speak'>): string {
  const mean = join(checkpoint, 'ema.safetensors');
  const wantsMean = (speak ?? (ema === undefined ? 'last' : 'ema')) === 'ema';
  return wantsMean && existsSync(mean) ? mean : join(checkpoint, 'weights.safetensors');
}
