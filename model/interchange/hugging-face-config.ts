import { z } from 'zod';
import type { ModelConfig } from '../config.ts';
import { ModelError } from '../errors.ts';
import type { GivenType } from '../weights/narrow.ts';

/** Hugging Face's families of models that have the maths of ours, and their classes. */
export const architectures = { llama: 'LlamaForCausalLM', qwen3: 'Qwen3ForCausalLM' } as const;
export type Family = keyof typeof architectures;

/** The family that a config's weights are of. */
export function familyOf(config: ModelConfig): Family {
  return config.qkNorm ? 'qwen3' : 'llama';
}

const typeNames = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;

export interface ConfigFacts {
  readonly endOfText: number;
  readonly dtype: GivenType;
}

/** `config.json` of a model. Throws `config-invalid`, naming the field, for one that Hugging Face's classes don't compute. */
export function toHuggingFaceConfig(config: ModelConfig, { endOfText, dtype }: ConfigFacts): Record<string, unknown> {
  const family = familyOf(config);
  const other = config.activation !== 'swiglu' ? 'activation' : config.logitSoftCap !== null ? 'logitSoftCap' : null;
  if (other !== null) {
    const message = `${architectures[family]} has no \`${other}: ${config[other]}\`, as the presets fast-* have it`;
    throw new ModelError('config-invalid', `The model can't be exported: ${message}. Export one of another preset.`);
  }
  return {
    architectures: [architectures[family]],
    model_type: family,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    intermediate_size: config.intermediateSize,
    max_position_embeddings: config.maxContext,
    rope_theta: config.ropeTheta,
    rope_scaling: null,
    rms_norm_eps: config.rmsNormEps,
    tie_word_embeddings: config.tieEmbeddings,
    initializer_range: config.initializerRange,
    hidden_act: 'silu',
    attention_bias: false,
    attention_dropout: 0,
    ...(family === 'llama' ? { mlp_bias: false } : { use_sliding_window: false, sliding_window: null }),
    bos_token_id: endOfText,
    eos_token_id: endOfText,
    use_cache: true,
    torch_dtype: typeNames[dtype],
  };
}

const count = z.int().positive();
const positive = z.number().positive();

/** What of a `config.json` says what is computed. Fields that are left out have the defaults of transformers. */
const configSchema = z.looseObject({
  model_type: z.string(),
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  intermediate_size: count,
  max_position_embeddings: count,
  rope_theta: positive.nullish(),
  rope_scaling: z.looseObject({}).nullish(),
  rope_parameters: z.looseObject({ rope_theta: positive.nullish() }).nullish(),
  rms_norm_eps: positive.default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  initializer_range: positive.default(0.02),
  hidden_act: z.string().default('silu'),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  use_sliding_window: z.boolean().default(false),
  quantization_config: z.unknown().optional(),
  partial_rotary_factor: z.number().nullish(),
});
type HuggingFaceConfig = z.output<typeof configSchema>;

const ropeSchema = z.looseObject({ rope_type: z.string().optional(), type: z.string().optional() });

/**
 * Reads a `config.json`. Throws `config-invalid`, naming the field, for a model that computes what ours can't.
 */
export function fromHuggingFaceConfig(json: unknown, source: string): ModelConfig {
  const parsed = configSchema.safeParse(json);
  if (!parsed.success) {
    throw new ModelError('config-invalid', `${source} is no config of a model:\n${z.prettifyError(parsed.error)}`);
  }
  const found = parsed.data;
  const refused = refusalOf(found);
  if (refused !== null) {
    throw new ModelError('config-invalid', `${source} can't be taken in: ${refused}`);
  }
  const heads = found.num_attention_heads;
  return {
    vocabSize: found.vocab_size,
    hiddenSize: found.hidden_size,
    layers: found.num_hidden_layers,
    heads,
    kvHeads: found.num_key_value_heads ?? heads,
    headDim: found.head_dim ?? found.hidden_size / heads,
    intermediateSize: found.intermediate_size,
    maxContext: found.max_position_embeddings,
    ropeTheta: found.rope_theta ?? found.rope_parameters?.rope_theta ?? 10_000,
    rmsNormEps: found.rms_norm_eps,
    tieEmbeddings: found.tie_word_embeddings,
    qkNorm: found.model_type === 'qwen3',
    initializerRange: found.initializer_range,
    activation: 'swiglu',
    logitSoftCap: null,
    zeroInit: false,
  };
}

/** What would be computed otherwise than here; null where nothing is. */
function refusalOf(found: HuggingFaceConfig): string | null {
  const { model_type: family } = found;
  if (!(family in architectures)) {
    return `model_type is "${family}", and only llama and qwen3 have the maths of ours.`;
  }
  for (const key of ['attention_bias', 'mlp_bias'] as const) {
    if (found[key]) return `${key} is true, and linear layers have no biases here.`;
  }
  if (found.hidden_act !== 'silu') return `hidden_act is "${found.hidden_act}", and the MLP is gated by silu here.`;
  if (found.use_sliding_window) return 'use_sliding_window is true, and attention sees the whole context here.';
  if (found.quantization_config !== undefined && found.quantization_config !== null) {
    return 'quantization_config is there, and training needs weights that are not quantized.';
  }
  if ((found.partial_rotary_factor ?? 1) !== 1) {
    return `partial_rotary_factor is ${found.partial_rotary_factor}, and all of a head is turned here.`;
  }
  for (const key of ['rope_scaling', 'rope_parameters'] as const) {
    const { rope_type: type, type: oldType } = ropeSchema.parse(found[key] ?? {});
    const name = type ?? oldType ?? 'default';
    if (name !== 'default') return `${key} asks for "${name}", and positions are not scaled here.`;
  }
  return null;
}
