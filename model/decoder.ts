import type { Tensor } from '@tensorflow/tfjs-node';
import { parameterShapes } from './config.ts';
import type { ModelConfig } from './config.ts';
import { decodeNext, joinCaches, pickRows, prefill, roomOf, widenCache } from './kv-cache.ts';
import type { KvCache } from './kv-cache.ts';
import type { Parameters } from './parameters.ts';
import type { Values } from './step-runner.ts';
import { tf } from './tf.ts';
import { toParameters } from './to-tensors.ts';

/**
 * Holds the weights and the cache of the rows that generate; what goes in and out are plain arrays. The seam at which a
 * compiled decoder takes the place of this one.
 */
export interface Decoder {
  /** Adds a row below the others, to grow to `length` tokens at most; gives the logits of its next token. */
  start(tokens: Int32Array, length: number): Float32Array;
  /** Takes one token for each row, in order, and gives the logits of each one's next. */
  advance(tokens: Int32Array): readonly Float32Array[];
  /** Drops all rows but these. */
  keep(rows: readonly number[]): void;
  dispose(): void;
}

/** Rooms are powers of two, so that few shapes occur; this is the smallest. */
const smallestRoom = 32;

/** Runs operation by operation. */
export function eagerDecoder(config: ModelConfig, weights: Values): Decoder {
  return new EagerDecoder(config, weights);
}

class EagerDecoder implements Decoder {
  readonly #config: ModelConfig;
  readonly #parameters: Parameters;
  #cache: KvCache = [];
  /** Tokens that each row has in the cache. */
  #lengths: number[] = [];

  constructor(config: ModelConfig, weights: Values) {
    this.#config = config;
    this.#parameters = toParameters(weights, parameterShapes(config));
  }

  start(tokens: Int32Array, length: number): Float32Array {
    const room = Math.max(roomFor(length), roomOf(this.#cache));
    const logits = tf.tidy(() => {
      const ids = tf.tensor2d(tokens.slice(), [1, tokens.length], 'int32');
      const fresh = prefill(this.#parameters, this.#config, ids, room);
      const joined = this.#lengths.length > 0 ? joinCaches(widenCache(this.#cache, room), fresh.cache) : fresh.cache;
      this.#replace(joined);
      return read(fresh.logits);
    });
    this.#lengths.push(tokens.length);
    return logits;
  }

  advance(tokens: Int32Array): readonly Float32Array[] {
    const logits = tf.tidy(() => {
      const ids = tf.tensor1d(tokens.slice(), 'int32');
      const positions = tf.tensor1d(Int32Array.from(this.#lengths), 'int32');
      const decoded = decodeNext(this.#parameters, this.#config, this.#cache, ids, positions);
      this.#replace(decoded.cache);
      return read(decoded.logits);
    });
    const { vocabSize } = this.#config;
    this.#lengths = this.#lengths.map((length) => length + 1);
    return this.#lengths.map((_, row) => logits.subarray(row * vocabSize, (row + 1) * vocabSize));
  }

  keep(rows: readonly number[]): void {
    if (rows.length === this.#lengths.length) return;
    tf.tidy(() => this.#replace(rows.length > 0 ? pickRows(this.#cache, rows) : []));
    this.#lengths = rows.map((row) => this.#lengths[row] ?? 0);
  }

  dispose(): void {
    this.#replace([]);
    this.#lengths = [];
    tf.dispose(this.#parameters);
  }

  #replace(cache: KvCache): void {
    const old = this.#cache;
    this.#cache = cache.map(({ k_BGSD, v_BGSD }) => ({ k_BGSD: tf.keep(k_BGSD), v_BGSD: tf.keep(v_BGSD) }));
    for (const { k_BGSD, v_BGSD } of old) tf.dispose([k_BGSD, v_BGSD]);
  }
}

function roomFor(length: number): number {
  return Math.max(smallestRoom, 2 ** Math.ceil(Math.log2(length)));
}

function read(logits: Tensor): Float32Array {
  return logits.dataSync<'float32'>();
}
