import type { Tensor } from '@tensorflow/tfjs-node';
import { attend, causalBias } from './attention.ts';
import type { ModelConfig } from './config.ts';
import { embed, relu2, rmsNorm, rotate, softCap, swiGlu } from './ops.ts';
import type { Rotation } from './ops.ts';
import { parameter } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import { tf } from './tf.ts';

/*
 * A decoder-only transformer with the names and the maths of Hugging Face's Qwen3ForCausalLM, and of LlamaForCausalLM
 * when `qkNorm` is off. Pure functions of weights and inputs: nothing here depends on a tensor's values, so that they
 * run as they stand or are traced into a graph.
 *
 *   B rows           T positions of a row    S positions attended to    N = B·T
 *   C hiddenSize     D headDim               F intermediateSize         V vocabSize
 *   G kvHeads        R query heads that share one key head, G·R = heads
 *
 * A linear layer holds its weight as [out, in].
 */

/** What the positions of one pass know of one another. */
interface Context {
  /** Where each position stands, as angles; broadcast against `[B, G, R, T, D/2]`. */
  readonly rotation: Rotation;
  /** Hides positions from one another; broadcast against `[B, G, R, T, T]`. */
  readonly bias: Tensor;
}

export interface ForwardOptions {
  /** Position of each id in its row; 0, 1, 2, … when absent. */
  readonly positions_BT?: Tensor;
  /** Document number of each id; attention stays within a document. */
  readonly segments_BT?: Tensor;
}

/** Logits `[N, V]` of the next token at every position, row by row. */
export function forward(
  parameters: Parameters,
  config: ModelConfig,
  ids_BT: Tensor,
  options: ForwardOptions = {},
): Tensor {
  const [, length = 0] = ids_BT.shape;
  const positions = options.positions_BT ?? tf.range(0, length, 1, 'int32').expandDims(0);
  const bias = causalBias(length, options.segments_BT);
  const context = { rotation: rotationOf(config, positions), bias };
  return head(parameters, config, hiddenStates(parameters, config, ids_BT, context));
}

/** Final hidden states `[N, C]`. */
function hiddenStates(parameters: Parameters, config: ModelConfig, ids_BT: Tensor, context: Context): Tensor {
  const [rows = 0, length = 0] = ids_BT.shape;
  let x_NC = embed(weight(parameters, 'model.embed_tokens'), ids_BT.reshape([rows * length]));
  for (let layer = 0; layer < config.layers; layer++) {
    const block = (name: string): Tensor => weight(parameters, `model.layers.${layer}.${name}`);
    const attended = attention(block, config, norm(x_NC, block('input_layernorm'), config), { rows, context });
    x_NC = x_NC.add(attended);
    x_NC = x_NC.add(mlp(block, config, norm(x_NC, block('post_attention_layernorm'), config)));
  }
  return norm(x_NC, weight(parameters, 'model.norm'), config);
}

/** Logits `[N, V]` of final hidden states. */
function head(parameters: Parameters, config: ModelConfig, x_NC: Tensor): Tensor {
  const logits_NV = linear(x_NC, weight(parameters, config.tieEmbeddings ? 'model.embed_tokens' : 'lm_head'));
  return config.logitSoftCap === null ? logits_NV : softCap(logits_NV, config.logitSoftCap);
}

/** Rotary embedding `[B, 1, 1, T, D/2]`: pair i of a position turns by position / theta^(2i/D). */
function rotationOf(config: ModelConfig, positions_BT: Tensor): Rotation {
  const [rows = 0, length = 0] = positions_BT.shape;
  const half = config.headDim / 2;
  const frequencies = Array.from({ length: half }, (_, i) => config.ropeTheta ** (-i / half));
  const angles = positions_BT.toFloat().reshape([rows, 1, 1, length, 1]).mul(tf.tensor1d(frequencies));
  return { cos_TE: angles.cos(), sin_TE: angles.sin() };
}

interface Place {
  readonly rows: number;
  readonly context: Context;
}

function attention(block: (name: string) => Tensor, config: ModelConfig, x_NC: Tensor, place: Place): Tensor {
  const { kvHeads, headDim } = config;
  const { rows, context } = place;
  const [positions = 0] = x_NC.shape;
  const length = positions / rows;

  const project = (name: string, heads: number): Tensor =>
    linear(x_NC, block(`self_attn.${name}_proj`))
      .reshape([rows, length, kvHeads, heads / kvHeads, headDim])
      .transpose([0, 2, 3, 1, 4]);
  const normed = (name: string, x_BGRTD: Tensor): Tensor =>
    config.qkNorm ? norm(x_BGRTD, block(`self_attn.${name}_norm`), config) : x_BGRTD;

  const q_BGRTD = rotate(normed('q', project('q', config.heads)), context.rotation);
  const k_BGRTD = rotate(normed('k', project('k', kvHeads)), context.rotation);
  const v_BGRTD = project('v', kvHeads);
  const keyShape = [rows, kvHeads, length, headDim];
  const fresh = { k_BGSD: k_BGRTD.reshape(keyShape), v_BGSD: v_BGRTD.reshape(keyShape) };
  const y_NC = attend(q_BGRTD, { ...fresh, bias: context.bias })
    .transpose([0, 3, 1, 2, 4])
    .reshape([positions, config.heads * headDim]);
  return linear(y_NC, block('self_attn.o_proj'));
}

function mlp(block: (name: string) => Tensor, { activation }: ModelConfig, x_NC: Tensor): Tensor {
  const up_NF = linear(x_NC, block('mlp.up_proj'));
  const within_NF = activation === 'relu2' ? relu2(up_NF) : swiGlu(linear(x_NC, block('mlp.gate_proj')), up_NF);
  return linear(within_NF, block('mlp.down_proj'));
}

function norm(x: Tensor, gain: Tensor, config: ModelConfig): Tensor {
  return rmsNorm(x, gain, config.rmsNormEps);
}

function linear(x: Tensor, weight_OI: Tensor): Tensor {
  return tf.matMul(x, weight_OI, false, true);
}

function weight(parameters: Parameters, layer: string): Tensor {
  return parameter(parameters, `${layer}.weight`);
}
