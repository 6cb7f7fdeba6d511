import { z } from 'zod';
import { countsSchema } from './counts.ts';
import type { Counts } from './counts.ts';
import { sourceStateSchema } from './source-sums.ts';
import type { SourceState } from './source-sums.ts';
import type { Json, Piece, ReplayedRows, Snapshot, Span, StepTotals, TokenBatch } from './types.ts';
import { nothingSeen } from './watermark.ts';
import type { Seen } from './watermark.ts';

const int = z.number().int();

/** A batch as JSON; its arrays are plain. */
interface WaitingBatch {
  rows: number;
  context: number;
  ids: number[];
  targets: number[];
  lossMask: number[];
  segments?: number[] | undefined;
  byteCount: number;
  spans: Span[];
  pieces?: Piece[] | undefined;
  timestampMs: number;
  replayed?: ReplayedRows | undefined;
  /** That came with it. */
  counts?: Counts | undefined;
}

export const pieceSchema: z.ZodType<Piece> = z.object({
  at: z.object({ topic: z.string(), partition: int, offset: int }),
  key: z.string().optional(),
  timestampMs: z.number(),
  from: int,
  to: int,
  bytes: int,
  begins: z.boolean(),
  ends: z.boolean(),
});

/** Of batches there may be megabytes: to look at each number would hold up what waits for them. */
const numbers = z.custom<number[]>((value) => Array.isArray(value));

export const waitingBatchSchema: z.ZodType<WaitingBatch> = z.object({
  rows: int,
  context: int,
  ids: numbers,
  targets: numbers,
  lossMask: numbers,
  segments: numbers.optional(),
  byteCount: int,
  spans: z.array(z.object({ topic: z.string(), partition: int, from: int, to: int })),
  pieces: z.array(pieceSchema).optional(),
  timestampMs: z.number(),
  replayed: z
    .object({ rows: int, from: z.array(z.object({ topic: z.string(), partition: int, offset: int })) })
    .optional(),
  counts: countsSchema.optional(),
});

/** What `trainStep` puts into the basket. */
export interface TrainState {
  /** Steps that the trainer has done. */
  step: number;
  totals: StepTotals;
  /** By topic; nothing in cuts from before it was noted. */
  sources: Record<string, SourceState>;
  /** What the weights have seen; nothing in cuts from before it was noted. */
  seen: Seen;
  /** Batches that the barrier overtook. */
  waiting: WaitingBatch[];
  /** Batches whose step was skipped, and the first step that each may be tried again at. */
  setAside: { dueAt: number; batch: WaitingBatch }[];
  /** The trainer's own state. */
  trainer: Json;
  /** By token of the job's vocabulary, where the weights are those of another one: which of their tokens it comes from. */
  vocabulary?: (number | number[])[] | undefined;
}

export const trainStateSchema: z.ZodType<TrainState> = z.object({
  step: int,
  totals: z.object({ tokens: int, bytes: int, bits: z.number() }),
  sources: z.record(z.string(), sourceStateSchema).default({}),
  seen: z.object({ watermark: z.record(z.string(), int), textAtMs: z.number() }).default(nothingSeen),
  waiting: z.array(waitingBatchSchema),
  setAside: z.array(z.object({ dueAt: int, batch: waitingBatchSchema })).default([]),
  trainer: z.json(),
  vocabulary: z.array(z.union([int, z.array(int)])).optional(),
});

/** The snapshot for a job that goes on over another log, in which the offsets that were seen mean nothing. */
export function withoutOffsets(snapshot: Snapshot): Snapshot {
  const state = trainStateSchema.parse(snapshot.state);
  return { ...snapshot, state: z.json().parse({ ...state, seen: nothingSeen }) };
}

export function seenToJson({ watermark, textAtMs }: Seen): Json {
  return { watermark: { ...watermark }, textAtMs };
}

export function pieceToJson({ at, key, ...place }: Piece): { readonly [key: string]: Json } {
  return { at: { ...at }, ...(key === undefined ? {} : { key }), ...place };
}

export function batchToJson(
  { ids, targets, lossMask, segments, pieces, replayed, ...rest }: TokenBatch,
  counts?: Counts,
): Json {
  return {
    ...rest,
    ...(replayed ? { replayed: { rows: replayed.rows, from: replayed.from.map((at) => ({ ...at })) } } : {}),
    spans: rest.spans.map((span) => ({ ...span })),
    ...(pieces ? { pieces: pieces.map(pieceToJson) } : {}),
    ids: Array.from(ids),
    targets: Array.from(targets),
    lossMask: Array.from(lossMask),
    ...(segments ? { segments: Array.from(segments) } : {}),
    ...(counts ? { counts } : {}),
  };
}

export function batchFromJson(json: Omit<WaitingBatch, 'counts'>): TokenBatch {
  const { ids, targets, lossMask, segments, pieces, replayed, ...rest } = json;
  return {
    ...rest,
    ...(pieces ? { pieces } : {}),
    ...(replayed ? { replayed } : {}),
    ids: Int32Array.from(ids),
    targets: Int32Array.from(targets),
    lossMask: Float32Array.from(lossMask),
    ...(segments ? { segments: Int32Array.from(segments) } : {}),
  };
}
