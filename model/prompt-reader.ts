import type { Tensor } from '@tensorflow/tfjs-node';
import type { ModelConfig } from './config.ts';
import type { DecodeEngine } from './decode-engine.ts';
import { joinCaches } from './kv-cache.ts';
import type { KvCache } from './kv-cache.ts';
import { tf } from './tf.ts';

/** The lengths that a chunk is padded to: few shapes, so few graphs. */
const CHUNKS = [16, 32, 48, 64, 96, 128, 192, 256] as const;
const SHORTEST_CUT = 64;
const LONGEST_CHUNK = 256;

export interface DecodedPrompt {
  readonly tokens: Int32Array;
  /** Whether logits are wanted behind each of its tokens, and not only behind the last. */
  readonly isScored: boolean;
}

export interface ReadPrompt {
  /** Of the next token. */
  readonly logits: Float32Array;
  /** Of each token of a scored prompt but the first. */
  readonly within: readonly Float32Array[];
  /** At least as many positions as the prompt has tokens; those behind are padding. */
  readonly cache: KvCache;
  /** Tokens that had been read before. */
  readonly reused: number;
}

/** What the model made of one chunk, behind all that stands before it. */
interface Part {
  readonly cache: KvCache;
  /** Behind the chunk's last token. */
  readonly logits: Float32Array;
}

/**
 * Reads prompts, and remembers what it has read: a prompt that begins as another did is read from where they part.
 *
 * Where a prompt is cut depends on nothing but positions (64, 128, 256, then every 256 tokens), and a part is reused
 * only for the same tokens behind the same ones. So each part is what the same graph made of the same numbers, and an
 * answer is to the bit what it would be had nothing been remembered. Parts longest unused go first.
 */
export class PromptReader {
  readonly #config: ModelConfig;
  readonly #engine: DecodeEngine;
  readonly #mostPositions: number;
  /** By all tokens up to a part's end; the one that was used last stands last. */
  readonly #parts = new Map<string, Part>();

  /** Remembers so many positions at most; with 0 nothing. */
  constructor(config: ModelConfig, engine: DecodeEngine, mostPositions: number) {
    this.#config = config;
    this.#engine = engine;
    this.#mostPositions = mostPositions;
  }

  /** To be called within `tf.tidy`. What it returns may be gone after `trim`. */
  read({ tokens, isScored }: DecodedPrompt): ReadPrompt {
    // A scored prompt wants what is not remembered, and is read by graphs of its own.
    if (isScored) return this.#readScored(tokens);
    const parts: Part[] = [];
    const keys: string[] = [];
    let reused = 0;
    for (const [start, end] of cutsOf(tokens.length)) {
      const key = keyOf(tokens.subarray(0, end));
      keys.push(key);
      const known = this.#parts.get(key);
      if (known) reused += end - start;
      parts.push(known ?? this.#readPart(key, tokens.subarray(start, end), start, parts));
    }
    // A beginning outlives what it is the beginning of.
    for (const key of keys.toReversed()) this.#touch(key);
    const logits = parts.at(-1)?.logits ?? new Float32Array();
    return { logits, within: [], cache: joined(parts), reused };
  }

  /** Lets go of what is too much. */
  trim(): void {
    let positions = 0;
    for (const part of this.#parts.values()) positions += lengthOf(part);
    for (const [key, part] of this.#parts) {
      if (positions <= this.#mostPositions) return;
      positions -= lengthOf(part);
      this.#parts.delete(key);
      for (const tensor of tensorsOf(part)) tensor.dispose();
    }
  }

  /** Lets go of all, which came from other weights. */
  forget(): void {
    for (const part of this.#parts.values()) for (const tensor of tensorsOf(part)) tensor.dispose();
    this.#parts.clear();
  }

  #readPart(key: string, tokens: Int32Array, start: number, before: readonly Part[]): Part {
    const { cache, logits } = this.#run(tokens, start, joined(before), false);
    const part = { cache, logits: logits.at(-1) ?? new Float32Array() };
    for (const tensor of tensorsOf(part)) tf.keep(tensor);
    this.#parts.set(key, part);
    return part;
  }

  #readScored(tokens: Int32Array): ReadPrompt {
    let cache: KvCache = [];
    const rows: Float32Array[] = [];
    for (const [start, end] of cutsOf(tokens.length)) {
      const chunk = this.#run(tokens.subarray(start, end), start, cache, true);
      cache = joined([{ cache }, chunk]);
      rows.push(...chunk.logits);
    }
    return { logits: rows.at(-1) ?? new Float32Array(), within: rows.slice(0, -1), cache, reused: 0 };
  }

  #run(
    tokens: Int32Array,
    start: number,
    past: KvCache,
    isScored: boolean,
  ): { cache: KvCache; logits: Float32Array[] } {
    const ids = new Int32Array(CHUNKS.find((size) => size >= tokens.length) ?? LONGEST_CHUNK);
    ids.set(tokens);
    const wanted = isScored ? ids.map((_, at) => at) : Int32Array.of(tokens.length - 1);
    const { cache, logits } = this.#engine.prefill({
      ids_T: tf.tensor1d(ids, 'int32'),
      past,
      start: tf.tensor1d([start], 'int32'),
      wanted: tf.tensor1d(wanted, 'int32'),
    });
    const { vocabSize } = this.#config;
    const all = logits.dataSync<'float32'>();
    const rows = Array.from({ length: isScored ? tokens.length : 1 }, (_, row) =>
      all.slice(row * vocabSize, (row + 1) * vocabSize),
    );
    return { cache, logits: rows };
  }

  #touch(key: string): void {
    const part = this.#parts.get(key);
    if (!part) return;
    this.#parts.delete(key);
    this.#parts.set(key, part);
  }
}

/** From and to of each chunk. */
function cutsOf(length: number): readonly (readonly [start: number, end: number])[] {
  const cuts: (readonly [number, number])[] = [];
  for (let start = 0; start < length;) {
    const size = Math.min(LONGEST_CHUNK, Math.max(SHORTEST_CUT, start));
    const end = Math.min(length, start + size);
    cuts.push([start, end]);
    start = end;
  }
  return cuts;
}

/** The tokens' bytes as characters. */
function keyOf(tokens: Int32Array): string {
  return Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength).toString('latin1');
}

function joined(parts: readonly Pick<Part, 'cache'>[]): KvCache {
  const caches = parts.map(({ cache }) => cache).filter((cache) => cache.length > 0);
  const [only = [], ...others] = caches;
  return others.length === 0 ? only : joinCaches(caches, 2);
}

/** Positions that it takes up, padding included. */
function lengthOf({ cache }: Part): number {
  return cache[0]?.k_BGSD.shape[2] ?? 0;
}

function tensorsOf({ cache }: Part): readonly Tensor[] {
  return cache.flatMap(({ k_BGSD, v_BGSD }) => [k_BGSD, v_BGSD]);
}
