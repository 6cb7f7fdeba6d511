import { parameterShapes, sizeOf } from './config.ts';
import type { ModelConfig } from './config.ts';
import { Random, seedFor } from './random.ts';

/**
 * First weights by name: gains 1, all else normal with the config's `initializerRange`. The two projections into the
 * residual stream, and a head of its own, are zero with `zeroInit`; else they are smaller by √(2·layers), since that many of them add up (Radford et al.
 * 2019). Each tensor draws from a stream of its own: the same seed gives it the same values in every config of its size.
 */
export function initialWeights(config: ModelConfig, seed: number): Map<string, Float32Array> {
  const tensors = [...parameterShapes(config).keys()].map((name) => [name, initialTensor(name, config, seed)] as const);
  return new Map(tensors);
}

/** First values of one of the config's tensors. */
export function initialTensor(name: string, config: ModelConfig, seed: number): Float32Array {
  const shape = parameterShapes(config).get(name) ?? [0];
  const values = new Float32Array(sizeOf(shape));
  const deviation = deviationOf(name, config);
  if (shape.length === 1) return values.fill(1);
  if (deviation === 0) return values;
  const random = new Random(seedFor(seed, name));
  for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal();
  return values;
}

function deviationOf(name: string, config: ModelConfig): number {
  const { initializerRange, layers, zeroInit } = config;
  if (name === 'lm_head.weight' && zeroInit) return 0;
  const intoResidual = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight');
  if (!intoResidual) return initializerRange;
  return zeroInit ? 0 : initializerRange / Math.sqrt(2 * layers);
}
