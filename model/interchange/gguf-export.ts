import { countParameters, parameterShapes } from '../config.ts';
import type { ModelConfig } from '../config.ts';
import { narrowed } from '../weights/narrow.ts';
import { writeGguf } from './gguf-file.ts';
import type { GgufTensor, GgufType, GgufValue } from './gguf-file.ts';
import { ggufTokenizer } from './gguf-tokenizer.ts';
import { architectures, familyOf, toHuggingFaceConfig } from './hugging-face-config.ts';
import type { Exported } from './hugging-face-export.ts';
import { openModel } from './open-model.ts';
import type { ModelFiles } from './open-model.ts';

/** Names of tensors of a block, ours and llama.cpp's. */
const BLOCK_NAMES: ReadonlyMap<string, string> = new Map([
  ['input_layernorm', 'attn_norm'],
  ['self_attn.q_proj', 'attn_q'],
  ['self_attn.k_proj', 'attn_k'],
  ['self_attn.v_proj', 'attn_v'],
  ['self_attn.q_norm', 'attn_q_norm'],
  ['self_attn.k_norm', 'attn_k_norm'],
  ['self_attn.o_proj', 'attn_output'],
  ['post_attention_layernorm', 'ffn_norm'],
  ['mlp.gate_proj', 'ffn_gate'],
  ['mlp.up_proj', 'ffn_up'],
  ['mlp.down_proj', 'ffn_down'],
]);
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['model.embed_tokens', 'token_embd'],
  ['model.norm', 'output_norm'],
  ['lm_head', 'output'],
]);

/** llama.cpp's numbers for what most of a file is in. */
const FILE_TYPES = { F32: 0, F16: 1, BF16: 32 } as const;

/**
 * Writes what llama.cpp reads, as its architecture `llama` or `qwen3`. Gains are in float32 whatever the type. Throws as
 * `openModel` does, and `tokenizer-invalid` for a tokenizer that llama.cpp does not have.
 */
export async function exportGguf(files: ModelFiles, path: string, dtype: GgufType, name: string): Promise<Exported> {
  const model = openModel(files);
  try {
    const { config, tokenizer, endOfText } = model;
    // Says why, where neither of the two architectures computes what the model does.
    toHuggingFaceConfig(config, { endOfText, dtype });
    const facts = new Map([...factsOf(config, dtype, name), ...ggufTokenizer(tokenizer, endOfText)]);
    const tensors = [...parameterShapes(config)].map(([ours, shape]): readonly [string, GgufTensor] => {
      const type = shape.length === 1 ? 'F32' : dtype;
      const take = (): ReturnType<GgufTensor['take']> =>
        narrowed(inTheirOrder(ours, model.take(ours), config), type, ours);
      return [ggufName(ours), { dtype: type, shape, take }];
    });
    await writeGguf(path, facts, new Map(tensors));
    return { architecture: architectures[familyOf(config)], parameters: countParameters(config) };
  } finally {
    model.close();
  }
}

function factsOf(config: ModelConfig, dtype: GgufType, name: string): Map<string, GgufValue> {
  const family = familyOf(config);
  const counts = {
    vocab_size: config.vocabSize,
    context_length: config.maxContext,
    embedding_length: config.hiddenSize,
    block_count: config.layers,
    feed_forward_length: config.intermediateSize,
    'attention.head_count': config.heads,
    'attention.head_count_kv': config.kvHeads,
    'attention.key_length': config.headDim,
    'attention.value_length': config.headDim,
    'rope.dimension_count': config.headDim,
  };
  return new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: family }],
    ['general.type', { type: 'string', value: 'model' }],
    ['general.name', { type: 'string', value: name }],
    ['general.file_type', { type: 'uint32', value: FILE_TYPES[dtype] }],
    ['general.quantization_version', { type: 'uint32', value: 2 }],
    ...Object.entries(counts).map(([key, value]) => [`${family}.${key}`, { type: 'uint32', value }] as const),
    [`${family}.rope.freq_base`, { type: 'float32', value: config.ropeTheta }],
    [`${family}.attention.layer_norm_rms_epsilon`, { type: 'float32', value: config.rmsNormEps }],
  ]);
}

const BLOCK = /^model\.layers\.(\d+)\.(.+)\.weight$/;

function ggufName(ours: string): string {
  const [, layer, part = ''] = BLOCK.exec(ours) ?? [];
  if (layer !== undefined) return `blk.${layer}.${BLOCK_NAMES.get(part) ?? part}.weight`;
  const stem = ours.replace(/\.weight$/, '');
  return `${OTHER_NAMES.get(stem) ?? stem}.weight`;
}

/**
 * llama.cpp's `llama` turns neighbours of a head, as Meta's first weights wanted it, where ours and Hugging Face's turn a row
 * of the first half with one of the second: rows of queries and keys take turns between the halves. Its `qwen3` is as ours.
 */
function inTheirOrder(name: string, values: Float32Array, config: ModelConfig): Float32Array {
  if (familyOf(config) !== 'llama' || !/\.self_attn\.[qk]_proj\./.test(name)) return values;
  const { headDim, hiddenSize } = config;
  const half = headDim / 2;
  const turned = new Float32Array(values.length);
  for (let row = 0; row < values.length / hiddenSize; row++) {
    const within = row % headDim;
    const theirs = row - within + 2 * (within % half) + Math.floor(within / half);
    turned.set(values.subarray(row * hiddenSize, (row + 1) * hiddenSize), theirs * hiddenSize);
  }
  return turned;
}
