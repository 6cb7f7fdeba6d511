import { z } from 'zod';
import type { Respelling } from '../model/tokenizer/respelling.ts';
import { bytesOfRun, fullBatches, respellBatch, respellRun, sliceOf } from './respell-batch.ts';
import { batchFromJson, batchToJson, pieceSchema, pieceToJson, waitingBatchSchema } from './train-state.ts';
import type { Json, Piece, Span, TokenBatch, TokenizedDocument } from './types.ts';

export interface PackerOptions {
  readonly rows: number;
  readonly context: number;
  readonly endOfText: number;
  readonly isolate?: boolean;
}

const stateSchema = z.object({
  segment: z.number().int(),
  ids: z.array(z.number().int()),
  targets: z.array(z.number().int()),
  lossMask: z.array(z.number()),
  segments: z.array(z.number().int()),
  byteCount: z.number().int(),
  spans: z.array(z.object({ topic: z.string(), partition: z.number(), from: z.number(), to: z.number() })),
  /** Of what was packed since it is noted. */
  pieces: z.array(pieceSchema).default([]),
  timestampMs: z.number(),
  waitingSinceMs: z.number().nullable(),
  /** Full ones, of a batch that became longer in another vocabulary. */
  ready: z.array(waitingBatchSchema).default([]),
});

/** A batch that is being filled. */
interface Begun {
  filled: number;
  readonly ids: Int32Array;
  readonly targets: Int32Array;
  readonly lossMask: Float32Array;
  readonly segments: Int32Array;
  byteCount: number;
  spans: Span[];
  pieces: Piece[];
  timestampMs: number;
  /** Time of the first tick that found it begun. */
  waitingSinceMs: number | null;
}

/** Fills batches token by token: each input's target is the token behind it, and is the next input. */
export class Packer {
  readonly #options: PackerOptions;
  readonly #size: number;
  /** Full, and to be emitted first. */
  #ready: TokenBatch[] = [];
  #begun: Begun;
  /** The token before the next target; between documents, and so in every snapshot, it is an end-of-text. */
  #previous: number;
  /** Number of the document that is being packed, within the begun batch. */
  #segment = 0;

  constructor(options: PackerOptions) {
    this.#options = options;
    this.#size = options.rows * options.context;
    this.#previous = options.endOfText;
    this.#begun = begin(this.#size);
  }

  /** Packs a document and its end-of-text; returns the batches that it filled. */
  add(document: TokenizedDocument): TokenBatch[] {
    const batches = this.#ready.splice(0);
    const { tokens, tokenBytes, lossMask } = document;
    const { endOfText } = this.#options;
    let from = this.#begun.filled;
    let bytesBefore = this.#begun.byteCount;
    let begins = true;
    for (let i = 0; i <= tokens.length; i++) {
      this.#push(tokens[i] ?? endOfText, lossMask?.[i] ?? 1, tokenBytes[i] ?? 0);
      const ends = i === tokens.length;
      const isFull = this.#begun.filled === this.#size;
      if (!ends && !isFull) continue;
      const { filled: to, byteCount } = this.#begun;
      this.#noteOrigin(document, { from, to, bytes: byteCount - bytesBefore, begins, ends });
      if (isFull) batches.push(this.#close());
      [from, bytesBefore, begins] = [0, 0, false];
    }
    return batches;
  }

  /** Closes the begun batch when it has waited since a tick at least `maxWaitMs` ago. */
  closeIfWaiting(atMs: number, maxWaitMs: number): TokenBatch[] {
    const ready = this.#ready.splice(0);
    if (this.#begun.filled === 0) return ready;
    this.#begun.waitingSinceMs ??= atMs;
    return atMs - this.#begun.waitingSinceMs >= maxWaitMs ? [...ready, this.#close()] : ready;
  }

  snapshot(): Json {
    const { filled, ids, targets, lossMask, segments, spans, pieces, ...rest } = this.#begun;
    const part = (values: Int32Array | Float32Array): number[] => Array.from(values.subarray(0, filled));
    return {
      ...rest,
      ids: part(ids),
      targets: part(targets),
      lossMask: part(lossMask),
      segments: part(segments),
      spans: spans.map((span) => ({ ...span })),
      ...(pieces.length > 0 ? { pieces: pieces.map(pieceToJson) } : {}),
      segment: this.#segment,
      ...(this.#ready.length > 0 ? { ready: this.#ready.map((batch) => batchToJson(batch)) } : {}),
    };
  }

  /** A snapshot in the tokens of another vocabulary. What no longer fits into the batch that has begun is full batches. */
  static respelled(
    { rows, context, isolate }: Omit<PackerOptions, 'endOfText'>,
    json: Json,
    respelling: Respelling,
  ): Json {
    const { ready, ...begun } = stateSchema.parse(json);
    const { spans, timestampMs } = begun;
    const run = respellRun(begun, respelling);
    const size = rows * context;
    const batches = [
      ...ready.flatMap((batch) => respellBatch(batch, respelling)),
      ...fullBatches(run, { rows, context, spans, timestampMs }, respelling),
    ];
    const { length } = run.targets;
    const rest = sliceOf(run, length - (length % size), length, respelling);
    const shown = isolate ? batches : batches.map(({ segments: _segments, ...batch }) => batch);
    return z.json().parse({ ...begun, ...rest, byteCount: bytesOfRun(rest, respelling), ready: shown });
  }

  /** Why a snapshot can't be gone on with in batches of another size; null where it can. */
  static refusalOf({ rows, context }: Pick<PackerOptions, 'rows' | 'context'>, json: Json): string | null {
    const { ids } = stateSchema.parse(json);
    if (ids.length < rows * context) return null;
    return `the batch that has begun holds ${ids.length} tokens, which do not fit into ${rows} × ${context}`;
  }

  static restored(options: PackerOptions, json: Json): Packer {
    const packer = new Packer(options);
    const { ids, targets, lossMask, segments, segment, ready, ...rest } = stateSchema.parse(json);
    const refusal = Packer.refusalOf(options, json);
    if (refusal !== null) throw new RangeError(refusal);
    Object.assign(packer.#begun, rest, { filled: ids.length });
    packer.#begun.ids.set(ids);
    packer.#begun.targets.set(targets);
    packer.#begun.lossMask.set(lossMask);
    packer.#begun.segments.set(segments);
    packer.#segment = segment;
    packer.#ready = ready.map(batchFromJson);
    return packer;
  }

  #push(token: number, counts: number, bytes: number): void {
    const begun = this.#begun;
    const at = begun.filled++;
    // An end-of-text opens the document behind it, so that its first token has something to be predicted from.
    if (this.#previous === this.#options.endOfText) this.#segment += 1;
    begun.ids[at] = this.#previous;
    begun.targets[at] = token;
    begun.lossMask[at] = counts;
    begun.segments[at] = this.#segment;
    if (counts > 0) begun.byteCount += bytes;
    this.#previous = token;
  }

  /** Of each document once in each batch that it stands in. */
  #noteOrigin(document: TokenizedDocument, place: Pick<Piece, 'from' | 'to' | 'bytes' | 'begins' | 'ends'>): void {
    const { at, key, timestampMs } = document;
    const { topic, partition, offset } = at;
    const begun = this.#begun;
    begun.pieces.push({ at, ...(key === undefined ? {} : { key }), timestampMs, ...place });
    begun.timestampMs = Math.max(begun.timestampMs, timestampMs);
    const last = begun.spans.at(-1);
    const follows = last?.topic === topic && last.partition === partition;
    if (follows && last.to === offset + 1) return;
    if (follows && last.to === offset) begun.spans[begun.spans.length - 1] = { ...last, to: offset + 1 };
    else begun.spans.push({ topic, partition, from: offset, to: offset + 1 });
  }

  #close(): TokenBatch {
    const { rows, context, endOfText, isolate } = this.#options;
    const { filled, ids, targets, lossMask, segments, byteCount, spans, pieces, timestampMs } = this.#begun;
    ids.fill(endOfText, filled);
    targets.fill(endOfText, filled);
    segments.fill(this.#segment + 1, filled);
    this.#segment = 0;
    this.#begun = begin(this.#size);
    const batch = { rows, context, ids, targets, lossMask, byteCount, spans, pieces, timestampMs };
    return isolate ? { ...batch, segments } : batch;
  }
}

function begin(size: number): Begun {
  return {
    filled: 0,
    ids: new Int32Array(size),
    targets: new Int32Array(size),
    lossMask: new Float32Array(size),
    segments: new Int32Array(size),
    byteCount: 0,
    spans: [],
    pieces: [],
    timestampMs: 0,
    waitingSinceMs: null,
  };
}

/** Memory of a batch, as the window counts it. */
export function packedBytes(batch: TokenBatch): number {
  const { ids, targets, lossMask, segments } = batch;
  return ids.byteLength + targets.byteLength + lossMask.byteLength + (segments?.byteLength ?? 0);
}
