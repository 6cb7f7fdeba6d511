import type { Tensor } from '@tensorflow/tfjs-node';
import type { KeyValue } from './attention.ts';
import type { ModelConfig } from './config.ts';
import { fusedName } from './fused-weights.ts';
import type { FusedPart } from './fused-weights.ts';
import { embed } from './ops.ts';
import { parameter } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import { tf } from './tf.ts';

/*
 * The forward pass of `transformer.ts` with fused weights and without gradients, in as few operations as there can be:
 * with one token per row each costs about as much as what it computes. Shapes as there; K = H + G heads of queries and keys.
 */

/** What the positions of one pass know of one another. */
export interface FusedContext {
  readonly turn: Turn;
  /** What the queries `[B, G, R·T, D]`, scaled already, of a layer find among its new keys and others. */
  readonly attend: (layer: number, q_BGQD: Tensor, fresh: KeyValue) => Tensor;
}

/** Cosines, and sines with the sign of the half that they are multiplied by, `[B, T, 1, D]`. */
export interface Turn {
  readonly cos_BT1D: Tensor;
  readonly sin_BT1D: Tensor;
}

/** Final hidden states `[B·T, C]`, of unit root mean square; the head holds the gain. */
export function fusedStates(weights: Parameters, config: ModelConfig, ids_BT: Tensor, context: FusedContext): Tensor {
  const { heads, kvHeads, headDim } = config;
  const [rows = 0, length = 0] = ids_BT.shape;
  const turnedHeads = heads + kvHeads;
  let x_NC = embed(parameter(weights, 'embedding'), ids_BT.reshape([rows * length]));
  for (let layer = 0; layer < config.layers; layer++) {
    const weight = (part: FusedPart): Tensor => parameter(weights, fusedName(layer, part));
    const split = (x: Tensor, from: number, count: number): Tensor =>
      x.slice([0, 0, from, 0], [rows, length, count, headDim]);

    const qkv = linear(unit(x_NC, config), weight('qkv')).reshape([rows, length, turnedHeads + kvHeads, headDim]);
    const raw_BTKD = split(qkv, 0, turnedHeads);
    const qk_BTKD = turned(config.qkNorm ? unit(raw_BTKD, config).mul(weight('gains')) : raw_BTKD, context.turn);
    const q_BGQD = split(qk_BTKD, 0, heads)
      .reshape([rows, length, kvHeads, heads / kvHeads, headDim])
      .transpose([0, 2, 3, 1, 4])
      .reshape([rows, kvHeads, -1, headDim]);
    const fresh = {
      k_BGSD: split(qk_BTKD, heads, kvHeads).transpose([0, 2, 1, 3]),
      v_BGSD: split(qkv, turnedHeads, kvHeads).transpose([0, 2, 1, 3]),
    };
    const y_NC = context
      .attend(layer, q_BGQD, fresh)
      .reshape([rows, kvHeads, heads / kvHeads, length, headDim])
      .transpose([0, 3, 1, 2, 4])
      .reshape([rows * length, heads * headDim]);
    x_NC = x_NC.add(linear(y_NC, weight('out')));
    const up_NF = linear(unit(x_NC, config), weight('gateUp'));
    x_NC = x_NC.add(linear(config.activation === 'relu2' ? up_NF.relu().square() : gated(up_NF), weight('down')));
  }
  return unit(x_NC, config);
}

/** Logits `[N, V]` of final hidden states. */
export function fusedHead(weights: Parameters, { logitSoftCap: cap }: ModelConfig, x_NC: Tensor): Tensor {
  const logits_NV = linear(x_NC, parameter(weights, 'head'));
  return cap === null ? logits_NV : logits_NV.div(cap).tanh().mul(cap);
}

/** Rotary embedding: the entries i and i + D/2 of a position turn by position / theta^(2i/D). */
export function turnOf({ headDim, ropeTheta }: ModelConfig, positions_BT: Tensor): Turn {
  const half = headDim / 2;
  const [rows = 0, length = 0] = positions_BT.shape;
  const frequencies = Array.from({ length: headDim }, (_, i) => ropeTheta ** (-(i % half) / half));
  const signs = Array.from({ length: headDim }, (_, i) => (i < half ? -1 : 1));
  const angles = positions_BT.toFloat().reshape([rows, length, 1, 1]).mul(tf.tensor1d(frequencies));
  return { cos_BT1D: angles.cos(), sin_BT1D: angles.sin().mul(tf.tensor1d(signs)) };
}

function turned(x: Tensor, { cos_BT1D, sin_BT1D }: Turn): Tensor {
  const [a, b] = halves(x);
  return x.mul(cos_BT1D).add(tf.concat([b, a], -1).mul(sin_BT1D));
}

/** SwiGLU (Shazeer 2020) of gate and up side by side. */
function gated(gateUp: Tensor): Tensor {
  const [gate, up] = halves(gateUp);
  return gate.mul(gate.sigmoid()).mul(up);
}

function halves(x: Tensor): [Tensor, Tensor] {
  const before = x.shape.slice(0, -1);
  const half = (x.shape.at(-1) ?? 0) / 2;
  const take = (from: number): Tensor => tf.slice(x, [...before.map(() => 0), from], [...before, half]);
  return [take(0), take(half)];
}

/** `x / rms(x)`; the gain is in the matrix behind it. */
function unit(x: Tensor, { rmsNormEps }: ModelConfig): Tensor {
  return x.mul(x.square().mean(-1, true).add(rmsNormEps).rsqrt());
}

function linear(x: Tensor, weight_OI: Tensor): Tensor {
  return tf.matMul(x, weight_OI, false, true);
}
