import type { Tensor } from '@tensorflow/tfjs-node';
import { causalBias, hide } from './attention.ts';
import type { KeyValue } from './attention.ts';
import type { ModelConfig } from './config.ts';
import { attendToParts } from './cached-attention.ts';
import { fusedHead, fusedStates, turnOf } from './fused-transformer.ts';
import { embed, select } from './ops.ts';
import type { Parameters } from './parameters.ts';
import { tf } from './tf.ts';

/*
 * The forward pass of generation: what a token attends to is kept, so that the next one costs one position and not all.
 * Pure functions of fused weights. B rows that generate, T tokens of a prompt, M room of the past, G kvHeads, D headDim,
 * L layers, Q query heads times tokens.
 *
 * Each step gives the keys and values of one position more. The newest of these stay as they are, one tensor for each step;
 * the long past is only read, until there are so many that they are folded into it. So a step writes little, whatever the
 * context.
 */

/** Keys and values of each layer, `[B, G, M, D]`; what lies beyond a row's own length is never looked at. */
export type KvCache = readonly KeyValue[];

export interface Prefilled {
  /** Of the tokens behind the wanted ones, `[W, V]`. */
  readonly logits: Tensor;
  /** Of the chunk's tokens, `[1, G, T, D]` in each layer. */
  readonly cache: KvCache;
}

export interface Chunk {
  readonly ids_T: Tensor;
  /** What came before it; empty for a first chunk. */
  readonly past: KvCache;
  /** How many positions of the past there are, `[1]`. */
  readonly start: Tensor;
  /** Indices of the tokens whose next ones are wanted, `[W]`. What is behind the last of them may be padding. */
  readonly wanted: Tensor;
}

/** Runs a chunk of one prompt, behind what is known of it already. */
export function prefill(weights: Parameters, config: ModelConfig, chunk: Chunk): Prefilled {
  const { ids_T, past, start, wanted } = chunk;
  const isEarlier = tf.range(0, roomOf(past), 1, 'int32').less(start);
  const earlier = hide(isEarlier).expandDims(0).tile([ids_T.size, 1]);
  const bias_TS = tf.concat([earlier, causalBias(ids_T.size)], 1);
  const bias_QS = bias_TS.tile([config.heads / config.kvHeads, 1]);
  const cache: KeyValue[] = [];
  const x_TC = fusedStates(weights, config, ids_T.expandDims(0), {
    turn: turnOf(config, tf.range(0, ids_T.size, 1, 'int32').add(start).expandDims(0)),
    attend: (layer, q_BGQD, fresh) => {
      cache.push(fresh);
      const before = past[layer];
      return attendToParts(q_BGQD, before ? [before, fresh] : [fresh], bias_QS);
    },
  });
  return { logits: fusedHead(weights, config, embed(x_TC, wanted)), cache };
}

export interface Memory {
  readonly past: KvCache;
  /** How many positions of the past each row has, `[B]`. */
  readonly lengths_B: Tensor;
  /** The positions since, each of them with the keys and values of all layers, `[2·L, B, G, 1, D]`. */
  readonly recent: readonly Tensor[];
  /** How many of these are in use, by all rows alike, `[1]`. */
  readonly used: Tensor;
}

export interface Decoded {
  /** Of the next token, `[B, V]`. */
  readonly logits: Tensor;
  /** Keys and values of the token that was taken, `[2·L, B, G, 1, D]`. */
  readonly fresh: Tensor;
}

/** Takes one more token per row. */
export function decodeNext(weights: Parameters, config: ModelConfig, memory: Memory, ids_B: Tensor): Decoded {
  const { past, lengths_B, recent, used } = memory;
  const rows = ids_B.size;
  const pastBias_BM = hide(tf.range(0, roomOf(past), 1, 'int32').less(lengths_B.expandDims(1)));
  const recentBias_W = hide(tf.range(0, recent.length, 1, 'int32').less(used));
  const otherBias_BS = tf
    .concat([recentBias_W, tf.zeros([1])])
    .expandDims(0)
    .tile([rows, 1]);
  const bias = tf.concat([pastBias_BM, otherBias_BS], 1).reshape([rows, 1, 1, -1]);
  const between = tailOf(recent);
  const written: Tensor[] = [];
  const x_BC = fusedStates(weights, config, ids_B.expandDims(1), {
    turn: turnOf(config, lengths_B.add(used).expandDims(1)),
    attend: (layer, q_BGQD, fresh) => {
      written.push(fresh.k_BGSD.expandDims(0), fresh.v_BGSD.expandDims(0));
      return attendToParts(q_BGQD, [past[layer] ?? fresh, between[layer] ?? fresh, fresh], bias);
    },
  });
  return { logits: fusedHead(weights, config, x_BC), fresh: tf.concat(written) };
}

/** Positions that stand alone, side by side: keys and values `[B, G, W, D]` of each layer. */
function tailOf(recent: readonly Tensor[]): KvCache {
  const all = tf.concat([...recent], 3);
  const [count = 0, ...shape] = all.shape;
  const part = (at: number): Tensor => all.slice(at, 1).reshape(shape);
  return Array.from({ length: count / 2 }, (_, layer) => ({ k_BGSD: part(2 * layer), v_BGSD: part(2 * layer + 1) }));
}

/** Positions that a row of the cache can hold. */
function roomOf(cache: KvCache): number {
  return cache[0]?.k_BGSD.shape[2] ?? 0;
}

/** A past of that room with the tail behind each row's own positions. Reads ids back, so it can't be traced. */
export function foldTail({ past, lengths_B, recent }: Memory, room: number): KvCache {
  const tail = tailOf(recent);
  const [rows = 0, kvHeads = 0, width = 0] = tail[0]?.k_BGSD.shape ?? [];
  const offsets_BM = tf.range(0, room, 1, 'int32').sub(lengths_B.expandDims(1));
  const isTail = offsets_BM.greaterEqual(0).logicalAnd(offsets_BM.less(width)).reshape([rows, 1, room, 1]);
  const slots = tf.tile(
    offsets_BM
      .clipByValue(0, width - 1)
      .toInt()
      .expandDims(1),
    [1, kvHeads, 1],
  );
  const perHead = slots.reshape([rows * kvHeads, room]);
  const fold = (before: Tensor, fresh: Tensor): Tensor => {
    const spread = tf.gather(fresh.reshape([rows * kvHeads, width, -1]), perHead, 1, 1);
    return select(isTail, spread.reshape([rows, kvHeads, room, -1]), fitted(before, room));
  };
  return past.map((layer, at) => {
    const fresh = tail[at] ?? layer;
    return { k_BGSD: fold(layer.k_BGSD, fresh.k_BGSD), v_BGSD: fold(layer.v_BGSD, fresh.v_BGSD) };
  });
}

/** The first `length` positions, in that room. */
export function withRoom(cache: KvCache, length: number, room: number): KvCache {
  const cut = (x: Tensor): Tensor => fitted(x.slice([0, 0, 0, 0], [-1, -1, length, -1]), room);
  return mapCache(cache, cut);
}

/** Caches below one another (`axis` 0, equal rooms) or behind one another (`axis` 2, equal rows). */
export function joinCaches(caches: readonly KvCache[], axis: 0 | 2): KvCache {
  const [first = []] = caches;
  const joined = (layer: number, part: keyof KeyValue): Tensor =>
    tf.concat(
      caches.flatMap((cache) => cache[layer]?.[part] ?? []),
      axis,
    );
  return first.map((_, layer) => ({ k_BGSD: joined(layer, 'k_BGSD'), v_BGSD: joined(layer, 'v_BGSD') }));
}

/** Only some of the rows, in the order given. */
export function pickRows(cache: KvCache, rows: readonly number[]): KvCache {
  return mapCache(cache, (x) => tf.gather(x, [...rows]));
}

/** Stands for a position that is not there yet, beside a past of as many rows. */
export function blankPosition(past: KvCache): Tensor {
  const { shape = [], dtype } = past[0]?.k_BGSD ?? {};
  const [rows = 0, kvHeads = 0, , width = 0] = shape;
  return tf.zeros([2 * past.length, rows, kvHeads, 1, width], dtype);
}

export function mapCache(cache: KvCache, change: (x: Tensor) => Tensor): KvCache {
  return cache.map(({ k_BGSD, v_BGSD }) => ({ k_BGSD: change(k_BGSD), v_BGSD: change(v_BGSD) }));
}

/** Positions beyond the room go, where nobody needs them any more; new ones are empty. */
function fitted(x: Tensor, room: number): Tensor {
  const [, , length = 0] = x.shape;
  if (length >= room) return length === room ? x : x.slice([0, 0, 0, 0], [-1, -1, room, -1]);
  return x.pad([
    [0, 0],
    [0, 0],
    [0, room - length],
    [0, 0],
  ]);
}
