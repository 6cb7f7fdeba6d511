import type { Tensor } from '@tensorflow/tfjs-node';
import { attendTo, causalBias, hide } from './attention.ts';
import type { KeyValue, Visible } from './attention.ts';
import type { ModelConfig } from './config.ts';
import { embed, select } from './ops.ts';
import type { Parameters } from './parameters.ts';
import { tf } from './tf.ts';
import { head, hiddenStates, rotationOf } from './transformer.ts';

/*
 * The forward pass of generation: what a token attends to is kept, so that the next one costs one position and not all.
 * Pure functions. B rows that generate, T tokens of a prompt, M room of the past, W of the tail, G kvHeads, D headDim.
 *
 * New tokens go into a short tail, which every step writes anew; the long past is only read, until the tail is full and
 * folded into it. So a step writes little, whatever the context.
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
export function prefill(parameters: Parameters, config: ModelConfig, chunk: Chunk): Prefilled {
  const { ids_T, past, start, wanted } = chunk;
  const own = causalBias(ids_T.size);
  const earlier = hide(tf.range(0, roomOf(past), 1, 'int32').less(start));
  const cache: KeyValue[] = [];
  const x_TC = hiddenStates(parameters, config, ids_T.expandDims(0), {
    rotation: rotationOf(config, tf.range(0, ids_T.size, 1, 'int32').add(start).expandDims(0)),
    attend: (layer, q_BGRTD, fresh) => {
      cache.push(fresh);
      const before = past[layer];
      const all: Visible = { ...fresh, bias: own };
      return attendTo(q_BGRTD, before ? [{ ...before, bias: earlier }, all] : [all]);
    },
  });
  return { logits: head(parameters, config, embed(x_TC, wanted)), cache };
}

export interface Memory {
  readonly past: KvCache;
  /** How many positions of the past each row has, `[B]`. */
  readonly lengths_B: Tensor;
  readonly tail: KvCache;
  /** How many positions of the tail all rows have, `[1]`. */
  readonly used: Tensor;
}

export interface Decoded {
  /** Of the next token, `[B, V]`. */
  readonly logits: Tensor;
  readonly tail: KvCache;
}

/** Takes one more token per row, and writes its keys and values into the tail. */
export function decodeNext(parameters: Parameters, config: ModelConfig, memory: Memory, ids_B: Tensor): Decoded {
  const { past, lengths_B, tail, used } = memory;
  const slots_W = tf.range(0, roomOf(tail), 1, 'int32');
  const here = slots_W.equal(used).reshape([1, 1, -1, 1]);
  const pastBias = hide(tf.range(0, roomOf(past), 1, 'int32').less(lengths_B.expandDims(1))).expandDims(1);
  const bias = pastBias.expandDims(1).expandDims(1);
  const tailBias = hide(slots_W.lessEqual(used));
  const next: KeyValue[] = [];
  const x_BC = hiddenStates(parameters, config, ids_B.expandDims(1), {
    rotation: rotationOf(config, lengths_B.add(used).expandDims(1)),
    attend: (layer, q_BGRTD, fresh) => {
      const old = tail[layer] ?? fresh;
      const grown = { k_BGSD: select(here, fresh.k_BGSD, old.k_BGSD), v_BGSD: select(here, fresh.v_BGSD, old.v_BGSD) };
      next.push(grown);
      const before = past[layer] ?? fresh;
      return attendTo(q_BGRTD, [
        { ...before, bias },
        { ...grown, bias: tailBias },
      ]);
    },
  });
  return { logits: head(parameters, config, x_BC), tail: next };
}

/** Positions that a row of the cache can hold. */
function roomOf(cache: KvCache): number {
  return cache[0]?.k_BGSD.shape[2] ?? 0;
}

/** A past of that room with the tail behind each row's own positions. Reads ids back, so it can't be traced. */
export function foldTail({ past, lengths_B, tail }: Memory, room: number): KvCache {
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

export function emptyCache(config: ModelConfig, rows: number, room: number): KvCache {
  const empty = (): Tensor => tf.zeros([rows, config.kvHeads, room, config.headDim]);
  return Array.from({ length: config.layers }, () => ({ k_BGSD: empty(), v_BGSD: empty() }));
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
