import type { WeightsFileContent } from './weights-file.ts';
import { readWeights, requireSameModel } from './weights-file.ts';
import { ModelError } from '../errors.ts';

/**
 * The uniform mean of several files of weights of one model (latest weight averaging, Kaddour 2022), summed in float64; of one
 * file, what it holds. Two sets are in memory at a time, and the sums. Throws as `readWeights` does, and `weights-mismatch`
 * where the models differ.
 */
export function mergeWeights(paths: readonly string[]): WeightsFileContent {
  const [first, ...others] = paths;
  if (first === undefined)
    throw new ModelError('input-invalid', 'There are no weights to merge: name a file at least.');
  const { config, weights } = readWeights(first);
  const sums = new Map([...weights].map(([name, values]) => [name, Float64Array.from(values)]));
  for (const path of others) {
    const next = readWeights(path);
    requireSameModel(path, next.config, config);
    for (const [name, values] of next.weights) {
      const sum = sums.get(name);
      if (sum) for (let at = 0; at < sum.length; at++) sum[at] = (sum[at] ?? 0) + (values[at] ?? 0);
    }
  }
  const means = [...sums].map(([name, sum]) => [name, Float32Array.from(sum, (each) => each / paths.length)] as const);
  return { config, weights: new Map(means) };
}
