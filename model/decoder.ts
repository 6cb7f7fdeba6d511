import type { Tensor } from '@tensorflow/tfjs-node';
import type { ModelConfig } from './config.ts';
import type { DecodeEngine } from './decode-engine.ts';
import { blankPosition, foldTail, joinCaches, mapCache, pickRows, withRoom } from './kv-cache.ts';
import type { KvCache } from './kv-cache.ts';
import { PromptReader } from './prompt-reader.ts';
import type { DecodedPrompt } from './prompt-reader.ts';
import type { Values } from './step-runner.ts';
import { tf } from './tf.ts';

/** Positions beside the past: a fold copies the whole past, so it shouldn't come often; and every step joins all of these. */
const RECENT = 16;
/** Room of a past is this at least. */
const SMALLEST_ROOM = 32;

/** Contexts whose keys and values are remembered beside those of the rows, for prompts that begin alike. */
const REMEMBERED_CONTEXTS = 4;

export interface StartedRow {
  /** Of the next token. */
  readonly logits: Float32Array;
  /** Of each token of a scored prompt but the first. */
  readonly within: readonly Float32Array[];
  /** Tokens of the prompt that had been read before. */
  readonly reused: number;
}

export interface DecoderOptions {
  /** Positions that are remembered beside those of the rows; four contexts when absent. */
  readonly remembered?: number | undefined;
}

interface Row {
  /** Where it stands in the tensors. */
  readonly slot: number;
  /** Positions that it has in the past. */
  readonly length: number;
}

/**
 * The rows that generate, and what they remember; tokens go in and logits come out, all as plain arrays. Every tensor has
 * as many rows as the next power of two, so that rows come and go without new graphs.
 */
export class Decoder {
  readonly #config: ModelConfig;
  readonly #engine: DecodeEngine;
  readonly #options: DecoderOptions;
  readonly #reader: PromptReader;
  #rows: readonly Row[] = [];
  #past: KvCache = [];
  /** The positions since the last fold, of all rows alike; then blank ones. */
  #recent: readonly Tensor[] = [];
  /** How many of them are not blank. */
  #used = 0;

  constructor(config: ModelConfig, engine: DecodeEngine, options: DecoderOptions = {}) {
    this.#config = config;
    this.#engine = engine;
    this.#options = options;
    this.#reader = new PromptReader(config, engine, options.remembered ?? REMEMBERED_CONTEXTS * config.maxContext);
  }

  /** One for other weights of the same model, on the same graphs. */
  sibling(): Decoder {
    return new Decoder(this.#config, this.#engine.sibling(), this.#options);
  }

  /** Lets go of prompts that are remembered for others: there will be none. */
  forgetPrompts(): void {
    this.#reader.forget();
  }

  /** Takes weights. What the rows remember came from the old ones, so there are no rows afterwards. */
  load(weights: Values): void {
    this.keep([]);
    this.#reader.forget();
    this.#engine.load(weights);
  }

  /** Adds a row for each prompt below the others. */
  start(prompts: readonly DecodedPrompt[]): readonly StartedRow[] {
    if (prompts.length === 0) return [];
    return untracked(() => {
      const fresh = prompts.map((prompt) => this.#reader.read(prompt));
      const lengths = [...this.#lengths(), ...prompts.map(({ tokens }) => tokens.length)];
      const room = roomFor(lengths);
      const old = this.#rows.length > 0 ? [pickRows(this.#folded(room), this.#slots())] : [];
      const news = fresh.map(({ cache }, at) => withRoom(cache, prompts[at]?.tokens.length ?? 0, room));
      this.#place(joinCaches([...old, ...news], 0), lengths);
      this.#reader.trim();
      return fresh.map(({ logits, within, reused }) => ({ logits, within, reused }));
    });
  }

  /** Takes one token for each row, in order, and gives the logits of each one's next. */
  advance(tokens: Int32Array): readonly Float32Array[] {
    return untracked(() => {
      if (this.#used === RECENT) this.#fold();
      const ids = new Int32Array(rowsOf(this.#past));
      const lengths = new Int32Array(ids.length);
      this.#rows.forEach(({ slot, length }, at) => {
        ids[slot] = tokens[at] ?? 0;
        lengths[slot] = length;
      });
      const memory = {
        past: this.#past,
        recent: this.#recent,
        lengths_B: tf.tensor1d(lengths, 'int32'),
        used: tf.tensor1d([this.#used], 'int32'),
      };
      const { logits, fresh } = this.#engine.decode(memory, tf.tensor1d(ids, 'int32'));
      this.#replace(
        this.#past,
        this.#recent.map((position, at) => (at === this.#used ? fresh : position)),
      );
      this.#used += 1;
      const all = this.#eachOf(read(logits));
      return this.#rows.map(({ slot }) => all[slot] ?? new Float32Array());
    });
  }

  /** Drops all rows but these. Tensors shrink only when half of them would do. */
  keep(rows: readonly number[]): void {
    this.#rows = rows.flatMap((at) => this.#rows[at] ?? []);
    if (rows.length === 0) {
      this.#replace([], []);
      this.#used = 0;
    } else if (powerOfTwo(rows.length) < rowsOf(this.#past)) tf.tidy(() => this.#fold());
  }

  dispose(): void {
    this.keep([]);
    this.#reader.forget();
    this.#engine.dispose();
  }

  /** Logits of one token after the other. */
  #eachOf(logits: Float32Array): readonly Float32Array[] {
    const { vocabSize } = this.#config;
    const count = logits.length / vocabSize;
    return Array.from({ length: count }, (_, row) => logits.subarray(row * vocabSize, (row + 1) * vocabSize));
  }

  /** Moves the recent positions into the past, and the rows together. */
  #fold(): void {
    const lengths = this.#lengths();
    this.#place(pickRows(this.#folded(roomFor(lengths)), this.#slots()), lengths);
  }

  #folded(room: number): KvCache {
    const lengths = new Int32Array(rowsOf(this.#past));
    for (const { slot, length } of this.#rows) lengths[slot] = length;
    const counts = { lengths_B: tf.tensor1d(lengths, 'int32'), used: tf.tensor1d([this.#used], 'int32') };
    return foldTail({ ...counts, past: this.#past, recent: this.#recent }, room);
  }

  /** Begins anew behind a past of just these rows. */
  #place(past: KvCache, lengths: readonly number[]): void {
    const rows = powerOfTwo(lengths.length);
    const spare = rows - lengths.length;
    const padded = mapCache(past, (x) =>
      x.pad([
        [0, spare],
        [0, 0],
        [0, 0],
        [0, 0],
      ]),
    );
    const blank = blankPosition(padded);
    this.#replace(
      padded,
      Array.from({ length: RECENT }, () => blank),
    );
    this.#rows = lengths.map((length, slot) => ({ slot, length }));
    this.#used = 0;
  }

  /** All positions of each row, the recent ones included. */
  #lengths(): readonly number[] {
    return this.#rows.map(({ length }) => length + this.#used);
  }

  #slots(): readonly number[] {
    return this.#rows.map(({ slot }) => slot);
  }

  #replace(past: KvCache, recent: readonly Tensor[]): void {
    const old = new Set([...tensorsOf(this.#past), ...this.#recent]);
    const kept = new Set([...tensorsOf(past), ...recent]);
    for (const tensor of kept) tf.keep(tensor);
    this.#past = past;
    this.#recent = recent;
    for (const tensor of old) if (!kept.has(tensor)) tensor.dispose();
  }
}

/** `tf.tidy` for results without tensors, through which it would look number by number. */
function untracked<T>(body: () => T): T {
  const results: T[] = [];
  tf.tidy(() => void results.push(body()));
  const [result] = results;
  if (result === undefined) throw new RangeError('The body has no result');
  return result;
}

function tensorsOf(cache: KvCache): readonly Tensor[] {
  return cache.flatMap(({ k_BGSD, v_BGSD }) => [k_BGSD, v_BGSD]);
}

function rowsOf(cache: KvCache): number {
  return cache[0]?.k_BGSD.shape[0] ?? 0;
}

/** A power of two, or one and a half of it: few shapes, so few graphs, and little that is read for nothing. */
function roomFor(lengths: readonly number[]): number {
  const least = Math.max(SMALLEST_ROOM, ...lengths);
  const room = powerOfTwo(least);
  return least <= 0.75 * room ? 0.75 * room : room;
}

function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(least));
}

function read(logits: Tensor): Float32Array {
  return logits.dataSync<'float32'>();
}
