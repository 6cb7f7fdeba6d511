import { z } from 'zod';
import type { Respelling } from '../model/tokenizer/respelling.ts';
import { respellRun } from './respell-batch.ts';
import type { Coordinates, Json, TokenBatch } from './types.ts';

/** A row of a batch that was trained on, apart from its batch. */
export interface Row {
  /** Its inputs, and behind them its last target: each input's target is the token behind it. */
  readonly tokens: Int32Array;
  /** Per target: 1 where it counts; null where all do. */
  readonly lossMask: Uint8Array | null;
  /** Record that its first target is of; null where nobody knows any more. */
  readonly at: Coordinates | null;
}

/** Memory of a row's token and mask at most. */
export const ROW_BYTES_PER_TOKEN = 5;

/** The rows of a batch that have anything to learn. */
export function rowsOf({ rows, context, ids, targets, lossMask, pieces = [] }: TokenBatch): Row[] {
  const all: Row[] = [];
  for (let row = 0; row < rows; row++) {
    const [from, to] = [row * context, (row + 1) * context];
    const mask = lossMask.subarray(from, to);
    if (mask.every((counts) => counts === 0)) continue;
    const tokens = new Int32Array(context + 1);
    tokens.set(ids.subarray(from, from + 1));
    tokens.set(targets.subarray(from, to), 1);
    const at = pieces.find((piece) => from < piece.to)?.at ?? null;
    all.push({ tokens, lossMask: mask.every((counts) => counts > 0) ? null : Uint8Array.from(mask), at });
  }
  return all;
}

/** Shape of the batches of a stream. */
export interface BatchShape {
  readonly rows: number;
  readonly context: number;
  /** Whether attention stops at the borders of documents. */
  readonly isolated: boolean;
}

/**
 * A batch of rows of the past. It is no exam: it stands for no bytes, and for no records that were not learnt before.
 * A row that is longer than the context is cut, what is missing is filled up with targets that do not count.
 */
export function batchOfRows(
  past: readonly Row[],
  { rows, context, isolated }: BatchShape,
  { endOfText, timestampMs }: { readonly endOfText: number; readonly timestampMs: number },
): TokenBatch {
  const size = rows * context;
  const ids = new Int32Array(size).fill(endOfText);
  const targets = new Int32Array(size).fill(endOfText);
  const lossMask = new Float32Array(size);
  for (const [index, row] of past.entries()) {
    const length = Math.min(context, row.tokens.length - 1);
    const from = index * context;
    ids.set(row.tokens.subarray(0, length), from);
    targets.set(row.tokens.subarray(1, length + 1), from);
    for (let place = 0; place < length; place++) lossMask[from + place] = row.lossMask?.[place] ?? 1;
  }
  const from = past.flatMap(({ at }) => (at ? [at] : []));
  const replayed = { rows: past.length, from };
  const batch = { rows, context, ids, targets, lossMask, byteCount: 0, spans: [], timestampMs, replayed };
  return isolated ? { ...batch, segments: segmentsOf(ids, context, endOfText) } : batch;
}

/** An end-of-text opens a document. */
function segmentsOf(ids: Int32Array, context: number, endOfText: number): Int32Array {
  let segment = 0;
  return ids.map((id, place) => {
    if (place % context === 0) segment = 0;
    return id === endOfText ? ++segment : segment;
  });
}

/** A row as states hold it. */
export interface PlainRow {
  readonly bits: 16 | 32;
  readonly tokens: string;
  readonly mask?: string | undefined;
  readonly at: readonly [topic: string, partition: number, offset: number] | null;
}

export const plainRowSchema: z.ZodType<PlainRow> = z.object({
  /** 16 or 32 bits a token, little-endian, in base64: states are JSON, and there are many of these. */
  bits: z.union([z.literal(16), z.literal(32)]),
  tokens: z.string(),
  mask: z.string().optional(),
  at: z.tuple([z.string(), z.number().int(), z.number().int()]).nullable(),
});

export function rowToJson({ tokens, lossMask, at }: Row): Json {
  const isSmall = tokens.every((token) => token < 2 ** 16);
  const packed = isSmall ? Uint16Array.from(tokens) : tokens;
  return {
    bits: isSmall ? 16 : 32,
    tokens: base64(packed),
    ...(lossMask ? { mask: base64(lossMask) } : {}),
    at: at && [at.topic, at.partition, at.offset],
  };
}

export function rowFromJson({ bits, tokens, mask, at }: PlainRow): Row {
  const bytes = bytesIn(tokens);
  return {
    tokens: Int32Array.from(bits === 16 ? new Uint16Array(bytes) : new Int32Array(bytes)),
    lossMask: mask === undefined ? null : new Uint8Array(bytesIn(mask)),
    at: at && { topic: at[0], partition: at[1], offset: at[2] },
  };
}

/** The beginning of a row in the tokens of another vocabulary, as long as it was. */
export function respelledRow({ tokens, lossMask, at }: Row, respelling: Respelling): Row {
  const length = tokens.length - 1;
  const [ids, targets] = [Array.from(tokens.subarray(0, length)), Array.from(tokens.subarray(1))];
  const run = respellRun(
    { ids, targets, lossMask: lossMask ? Array.from(lossMask) : targets.map(() => 1) },
    respelling,
  );
  const kept = Math.min(length, run.targets.length);
  return {
    tokens: Int32Array.from([run.ids[0] ?? respelling.endOfText, ...run.targets.slice(0, kept)]),
    lossMask: lossMask && Uint8Array.from(run.lossMask.slice(0, kept)),
    at,
  };
}

function base64({ buffer, byteOffset, byteLength }: Uint8Array | Uint16Array | Int32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}

/** A copy that lies at a border of words, as typed arrays need it. */
function bytesIn(text: string): ArrayBuffer {
  return Uint8Array.from(Buffer.from(text, 'base64')).buffer;
}
