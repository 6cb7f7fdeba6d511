import type { Tensor } from '@tensorflow/tfjs-node';
import type { ModelConfig } from './config.ts';
import { select } from './ops.ts';
import type { Parameters } from './parameters.ts';
import { tf } from './tf.ts';
import { causalBias, head, hiddenStates, hide, rotationOf } from './transformer.ts';
import type { KeyValue } from './transformer.ts';

/*
 * The forward pass of generation: what a token attends to is kept, so that the next one costs one position and not all.
 * Pure functions. B rows that generate, T tokens of a prompt, M room of the cache, G kvHeads, D headDim, V vocabSize.
 */

/** Keys and values of each layer, `[B, G, M, D]`; what lies beyond a row's own length is never looked at. */
export type KvCache = readonly KeyValue[];

export interface Decoded {
  /** Of the next token, `[B, V]`. */
  readonly logits: Tensor;
  readonly cache: KvCache;
}

/** Runs whole prompts `[B, T]` of equal length; the cache that comes of them has room for `room` positions. */
export function prefill(parameters: Parameters, config: ModelConfig, ids_BT: Tensor, room: number): Decoded {
  const [rows = 0, length = 0] = ids_BT.shape;
  const cache: KeyValue[] = [];
  const x_NC = hiddenStates(parameters, config, ids_BT, {
    rotation: rotationOf(config, tf.range(0, length, 1, 'int32').expandDims(0)),
    bias: causalBias(length),
    remember: (_, fresh) => {
      cache.push(widen(fresh, room));
      return fresh;
    },
  });
  const last_BC = x_NC.reshape([rows, length, config.hiddenSize]).slice([0, length - 1], [rows, 1]);
  return { logits: head(parameters, config, last_BC.reshape([rows, config.hiddenSize])), cache };
}

/** Takes one more token per row, each at its own position, and writes it into the cache there. */
export function decodeNext(
  parameters: Parameters,
  config: ModelConfig,
  cache: KvCache,
  ids_B: Tensor,
  positions_B: Tensor,
): Decoded {
  const [rows = 0] = ids_B.shape;
  const room = roomOf(cache);
  const slots_M = tf.range(0, room, 1, 'int32');
  const here = slots_M.equal(positions_B.expandDims(1)).reshape([rows, 1, room, 1]);
  const visible = slots_M.lessEqual(positions_B.expandDims(1)).reshape([rows, 1, 1, 1, room]);
  const next: KeyValue[] = [];
  const x_NC = hiddenStates(parameters, config, ids_B.expandDims(1), {
    rotation: rotationOf(config, positions_B.expandDims(1)),
    bias: hide(visible),
    remember: (layer, fresh) => {
      const past = cache[layer] ?? fresh;
      const all = { k_BGSD: select(here, fresh.k_BGSD, past.k_BGSD), v_BGSD: select(here, fresh.v_BGSD, past.v_BGSD) };
      next.push(all);
      return all;
    },
  });
  return { logits: head(parameters, config, x_NC), cache: next };
}

/** Positions that a row of the cache can hold. */
export function roomOf(cache: KvCache): number {
  return cache[0]?.k_BGSD.shape[2] ?? 0;
}

/** The same cache with more room. */
export function widenCache(cache: KvCache, room: number): KvCache {
  return cache.map((layer) => widen(layer, room));
}

/** Rows of both, one below the other. They must have the same room. */
export function joinCaches(upper: KvCache, lower: KvCache): KvCache {
  return upper.map((layer, at) => {
    const other = lower[at] ?? layer;
    return { k_BGSD: tf.concat([layer.k_BGSD, other.k_BGSD]), v_BGSD: tf.concat([layer.v_BGSD, other.v_BGSD]) };
  });
}

/** Only some of the rows, in the order given. */
export function pickRows(cache: KvCache, rows: readonly number[]): KvCache {
  return cache.map(({ k_BGSD, v_BGSD }) => ({
    k_BGSD: tf.gather(k_BGSD, [...rows]),
    v_BGSD: tf.gather(v_BGSD, [...rows]),
  }));
}

function widen({ k_BGSD, v_BGSD }: KeyValue, room: number): KeyValue {
  const [, , length = 0] = k_BGSD.shape;
  const grown = (x: Tensor): Tensor =>
    x.pad([
      [0, 0],
      [0, 0],
      [0, room - length],
      [0, 0],
    ]);
  return { k_BGSD: grown(k_BGSD), v_BGSD: grown(v_BGSD) };
}
