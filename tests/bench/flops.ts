import { parameterShapes, sizeOf } from '../../model/config.ts';
import type { ModelConfig } from '../../model/config.ts';

/**
 * Model FLOPs of one training step per token, as PaLM counts them (Chowdhery et al. 2022, appendix B): 6 for each weight
 * that is multiplied with, the head among them, and 12 for each of `layers · heads · headDim · context`. Attention counts
 * as if it were not causal; norms, activations and the optimizer do not count.
 */
export function flopsPerToken(config: ModelConfig, context: number): number {
  const matrices = [...parameterShapes(config)].filter(([, shape]) => shape.length === 2);
  const multiplied = matrices.filter(([name]) => config.tieEmbeddings || name !== 'model.embed_tokens.weight');
  const weights = multiplied.reduce((sum, [, shape]) => sum + sizeOf(shape), 0);
  return 6 * weights + 12 * config.layers * config.heads * config.headDim * context;
}
