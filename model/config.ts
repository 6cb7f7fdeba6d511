import { z } from 'zod';
import { ModelError } from './errors.ts';

/** Size and maths of a decoder-only transformer. Hugging Face's name of each field stands behind it. */
export interface ModelConfig {
  /** `vocab_size` */
  readonly vocabSize: number;
  /** `hidden_size`: width of the residual stream. */
  readonly hiddenSize: number;
  /** `num_hidden_layers` */
  readonly layers: number;
  /** `num_attention_heads` */
  readonly heads: number;
  /** `num_key_value_heads`: fewer than `heads` is grouped-query attention (Ainslie et al. 2023). */
  readonly kvHeads: number;
  /** `head_dim`, even. */
  readonly headDim: number;
  /** `intermediate_size`: width inside the MLP. */
  readonly intermediateSize: number;
  /** `max_position_embeddings` */
  readonly maxContext: number;
  /** `rope_theta` */
  readonly ropeTheta: number;
  /** `rms_norm_eps` */
  readonly rmsNormEps: number;
  /** `tie_word_embeddings`: the output head is the embedding. */
  readonly tieEmbeddings: boolean;
  /** RMSNorm of queries and keys per head: `Qwen3ForCausalLM` with it, `LlamaForCausalLM` without. */
  readonly qkNorm: boolean;
  /** `initializer_range`: standard deviation of the first weights. */
  readonly initializerRange: number;
  /**
   * What the MLP does between its matrices: `swiglu` (Shazeer 2020), or `relu2`, the square of what is positive (So et al.
   * 2021), which has no `gate_proj` and is not known to Hugging Face's Llama and Qwen3.
   */
  readonly activation: 'swiglu' | 'relu2';
  /** Logits stay within ±this, as `cap · tanh(logits ÷ cap)` (Gemma 2, 2024); as they are where it is null. */
  readonly logitSoftCap: number | null;
  /** Projections into the residual stream start at zero, so that every block starts as the identity; so does a head of its own. */
  readonly zeroInit: boolean;
}

const count = z.int().positive();

export const modelConfigSchema: z.ZodType<ModelConfig> = z
  .strictObject({
    vocabSize: count,
    hiddenSize: count,
    layers: count,
    heads: count,
    kvHeads: count,
    headDim: count,
    intermediateSize: count,
    maxContext: count,
    ropeTheta: z.number().positive(),
    rmsNormEps: z.number().positive(),
    tieEmbeddings: z.boolean(),
    qkNorm: z.boolean(),
    initializerRange: z.number().positive(),
    // Older weights say nothing of these two.
    activation: z.enum(['swiglu', 'relu2']).default('swiglu'),
    logitSoftCap: z.number().positive().nullable().default(null),
    zeroInit: z.boolean(),
  })
  .refine((config) => config.heads % config.kvHeads === 0, {
    path: ['kvHeads'],
    message: 'heads must be a multiple of kvHeads',
  })
  .refine((config) => config.headDim % 2 === 0, {
    path: ['headDim'],
    message: 'headDim must be even, since rotary embedding turns pairs',
  });

/** Reads a config that comes from outside; throws `config-invalid` and names every field that is wrong. */
export function parseModelConfig(value: unknown): ModelConfig {
  const parsed = modelConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ModelError('config-invalid', `The model's config is not valid:\n${z.prettifyError(parsed.error)}`);
}

/**
 * Shapes of all weights under the names of Hugging Face's checkpoints, in the order of the forward pass. Linear layers
 * are `[out, in]`.
 */
export function parameterShapes(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const { vocabSize, hiddenSize, layers, headDim, intermediateSize } = config;
  const queryWidth = config.heads * headDim;
  const keyWidth = config.kvHeads * headDim;
  const shapes = new Map<string, readonly number[]>([['model.embed_tokens.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    shapes.set(`${at}.input_layernorm.weight`, [hiddenSize]);
    shapes.set(`${at}.self_attn.q_proj.weight`, [queryWidth, hiddenSize]);
    shapes.set(`${at}.self_attn.k_proj.weight`, [keyWidth, hiddenSize]);
    shapes.set(`${at}.self_attn.v_proj.weight`, [keyWidth, hiddenSize]);
    if (config.qkNorm) {
      shapes.set(`${at}.self_attn.q_norm.weight`, [headDim]);
      shapes.set(`${at}.self_attn.k_norm.weight`, [headDim]);
    }
    shapes.set(`${at}.self_attn.o_proj.weight`, [hiddenSize, queryWidth]);
    shapes.set(`${at}.post_attention_layernorm.weight`, [hiddenSize]);
    if (config.activation === 'swiglu') shapes.set(`${at}.mlp.gate_proj.weight`, [intermediateSize, hiddenSize]);
    shapes.set(`${at}.mlp.up_proj.weight`, [intermediateSize, hiddenSize]);
    shapes.set(`${at}.mlp.down_proj.weight`, [hiddenSize, intermediateSize]);
  }
  shapes.set('model.norm.weight', [hiddenSize]);
  if (!config.tieEmbeddings) shapes.set('lm_head.weight', [vocabSize, hiddenSize]);
  return shapes;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dimension) => size * dimension, 1);
}

/** Number of trained scalars. */
export function countParameters(config: ModelConfig): number {
  return [...parameterShapes(config).values()].reduce((sum, shape) => sum + sizeOf(shape), 0);
}
