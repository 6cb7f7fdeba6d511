import type { Tensor } from '@tensorflow/tfjs-node';
import type { ModelConfig } from './config.ts';
import type { DecodeEngine } from './decode-engine.ts';
import { emptyCache, foldTail, joinCaches, mapCache, pickRows, withRoom } from './kv-cache.ts';
import type { KvCache } from './kv-cache.ts';
import { PromptReader } from './prompt-reader.ts';
import type { DecodedPrompt } from './prompt-reader.ts';
import type { Values } from './step-runner.ts';
import { tf } from './tf.ts';

/** Positions of the tail: a fold copies the whole past, so it shouldn't come often; and every step writes all of these. */
const TAIL = 16;
/** Room of a past is a power of two, this at least: few shapes, so few graphs. */
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
  #tail: KvCache = [];
  /** Positions of the tail that are in use, by all rows alike. */
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
      if (this.#used === TAIL) this.#fold();
      const ids = new Int32Array(rowsOf(this.#past));
      const lengths = new Int32Array(ids.length);
      this.#rows.forEach(({ slot, length }, at) => {
        ids[slot] = tokens[at] ?? 0;
        lengths[slot] = length;
      });
      const memory = {
        past: this.#past,
        tail: this.#tail,
        lengths_B: tf.tensor1d(lengths, 'int32'),
        used: tf.tensor1d([this.#used], 'int32'),
      };
      const { logits, tail } = this.#engine.decode(memory, tf.tensor1d(ids, 'int32'));
      this.#replace(this.#past, tail);
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

  /** Moves the tail into the past, and the rows together. */
  #fold(): void {
    const lengths = this.#lengths();
    this.#place(pickRows(this.#folded(roomFor(lengths)), this.#slots()), lengths);
  }

  #folded(room: number): KvCache {
    const lengths = new Int32Array(rowsOf(this.#past));
    for (const { slot, length } of this.#rows) lengths[slot] = length;
    const counts = { lengths_B: tf.tensor1d(lengths, 'int32'), used: tf.tensor1d([this.#used], 'int32') };
    return foldTail({ ...counts, past: this.#past, tail: this.#tail }, room);
  }

  /** Begins a new tail behind a past of just these rows. */
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
    this.#replace(padded, emptyCache(this.#config, rows, TAIL));
    this.#rows = lengths.map((length, slot) => ({ slot, length }));
    this.#used = 0;
  }

  /** All positions of each row, those in the tail included. */
  #lengths(): readonly number[] {
    return this.#rows.map(({ length }) => length + this.#used);
  }

  #slots(): readonly number[] {
    return this.#rows.map(({ slot }) => slot);
  }

  #replace(past: KvCache, tail: KvCache): void {
    const old = [...tensorsOf(this.#past), ...tensorsOf(this.#tail)];
    const kept = new Set([...tensorsOf(past), ...tensorsOf(tail)].map((tensor) => tf.keep(tensor)));
    this.#past = past;
    this.#tail = tail;
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

function roomFor(lengths: readonly number[]): number {
  return Math.max(SMALLEST_ROOM, powerOfTwo(Math.max(...lengths)));
}

function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(least));
}

function read(logits: Tensor): Float32Array {
  return logits.dataSync<'float32'>();
}
