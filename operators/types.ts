import type { StepFault, StepInput } from '../model/types.ts';
import type { Counts } from './counts.ts';
import type { FinishReason, WeightsVersion } from './ports.ts';

/** A record as a log holds it. Offsets count from 0 per partition and never repeat. */
export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Uint8Array | null;
  /** `null` is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch, set by the producer. */
  readonly timestampMs: number;
}

/** A record on its way into a log. */
export interface NewRecord {
  readonly key?: Uint8Array | string | null;
  readonly value: Uint8Array | string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Now, when absent. */
  readonly timestampMs?: number;
  /** Chosen by the key's hash, or in turn where there is no key, when absent. */
  readonly partition?: number;
}

/** Where something came from: one record of one partition. */
export interface Coordinates {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** A half-open range `[from, to)` of offsets of one partition. */
export interface Span {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** Text, and where it came from. */
export interface Document {
  readonly text: string;
  /** Bytes of the text in UTF-8. */
  readonly byteCount: number;
  readonly at: Coordinates;
  /** Of its record, as text; absent where that has none. */
  readonly key?: string;
  readonly timestampMs: number;
}

export interface TokenizedDocument {
  readonly tokens: Int32Array;
  /** UTF-8 bytes that each token stands for. */
  readonly tokenBytes: Uint16Array;
  /** Per token: 1 when it is to be learnt, 0 when it is only context. Absent: all are. */
  readonly lossMask?: Float32Array;
  readonly at: Coordinates;
  readonly key?: string;
  readonly timestampMs: number;
}

/** Targets of one document that stand together in a batch; a long document has a piece in each of several batches. */
export interface Piece {
  readonly at: Coordinates;
  readonly key?: string | undefined;
  readonly timestampMs: number;
  /** Places `[from, to)` of its targets, counted over the rows of the batch. */
  readonly from: number;
  readonly to: number;
  /** Bytes of text that those of them stand for that count. */
  readonly bytes: number;
  /** Whether the document begins with this piece, and whether it ends with it. */
  readonly begins: boolean;
  readonly ends: boolean;
}

/** Rows × context tokens for one training step, with the documents that they came from. */
export interface TokenBatch extends StepInput {
  /** Bytes of text that the targets stand for; the denominator of bits per byte. */
  readonly byteCount: number;
  /** Records whose tokens are targets in this batch, in order; a long document stands in several batches. */
  readonly spans: readonly Span[];
  /** Which targets are whose, in order; absent in batches of checkpoints from before this was noted. */
  readonly pieces?: readonly Piece[];
  /** Timestamp of the newest record in it. */
  readonly timestampMs: number;
  /**
   * Present in a batch of the past, which trains but is no exam: its `byteCount` is 0, its `spans` are empty, and its
   * timestamp is that of the newest record before it.
   */
  readonly replayed?: ReplayedRows;
}

/** Rows that were trained on before. */
export interface ReplayedRows {
  readonly rows: number;
  /** Records that they begin in, as far as that is known. */
  readonly from: readonly Coordinates[];
}

/** What one training step did. Losses are from before its update: every batch is an exam first. */
export interface StepReport {
  readonly event: 'step';
  readonly step: number;
  /** Mean cross-entropy per target token, in nats. */
  readonly loss: number;
  readonly bitsPerByte: number;
  readonly gradNorm: number;
  /** Learning rate of this step. */
  readonly lr: number;
  /** Target tokens of this step. */
  readonly tokens: number;
  readonly bytes: number;
  /** Sums over the job's whole life, this step included. */
  readonly totals: StepTotals;
  /** True when the weights are as before the step. */
  readonly skipped: boolean;
  /** Why they are; null where the step was taken. */
  readonly fault: StepFault | null;
  /** 2 where a batch is tried once more whose first step was skipped. */
  readonly attempt: 1 | 2;
  readonly spans: readonly Span[];
  readonly timestampMs: number;
  /** What operators before this one have counted in the job's life, up to the document that completed the batch. */
  readonly counts?: Counts;
  /** Present when the step was of the past: it has no part in bits per byte, bytes, spans or totals. */
  readonly replayed?: ReplayedRows & {
    /** Mean cross-entropy per target token of these rows, in nats. */
    readonly loss: number;
  };
  /** By topic, of those whose text was examined in this step; absent where that is not known, or there was no finite loss. */
  readonly sources?: Readonly<Record<string, SourceFigures>>;
  /** What the step knew of each target, for operators behind it; not at a second try; reports are published without it. */
  readonly exam?: Exam;
}

/** What was predicted of one topic's text before it was learnt; bits by bytes are bits per byte. */
export interface SourceFigures extends StepTotals {
  /** Over the last steps that had text of the topic, this one included. */
  readonly window: { readonly bytes: number; readonly bits: number };
  /** Over the job's whole life. */
  readonly totals: StepTotals;
}

/** A step's batch as it was examined. */
export interface Exam {
  readonly targets: Int32Array;
  /** 1 where the target counts, else 0. */
  readonly lossMask: Float32Array;
  /** Of each target, in nats, before the update; 0 where it does not count. */
  readonly losses: Float32Array;
  readonly pieces: readonly Piece[];
}

/** Of text that was trained on for the first time. */
export interface StepTotals {
  readonly tokens: number;
  readonly bytes: number;
  /** Summed cross-entropy in bits; divided by `bytes` it is the prequential bits per byte. */
  readonly bits: number;
}

export interface CheckpointReport {
  readonly event: 'checkpoint';
  readonly id: string;
  readonly reason: CutReason;
  readonly bytes: number;
  readonly durationMs: number;
  /** Directory that holds the manifest and the files. */
  readonly path: string;
}

/**
 * Why a cut was made: by the clock, by the number of steps, because partitions change hands, because somebody asked for one,
 * because another graph goes on there, or because the job ends: it was stopped, or has nothing left to do.
 */
export type CutReason = 'timer' | 'steps' | 'handover' | 'savepoint' | 'deploy' | 'stop' | 'final';

/** A question to the model. */
export interface Prompt {
  /** Chosen by who asks; answers carry it. */
  readonly id: string;
  /** The record that it came in. */
  readonly at: Coordinates;
  /** The record's key, by which it can be taken back; a character for each byte. */
  readonly key: string | null;
  readonly text: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  /** Texts before which the answer ends. */
  readonly stop: readonly string[];
  /** In milliseconds since the epoch: the answer ends then, as far as it has come. */
  readonly deadlineAtMs: number | null;
  /** What becomes of the answer when new weights come; null for what the graph says. */
  readonly onNewWeights: OnNewWeights | null;
}

/** See `SamplerRequest.onNewWeights`. */
export type OnNewWeights = 'switch' | 'finish';

/** A tombstone among the prompts: those before it with its key are taken back. */
export interface Cancellation {
  readonly cancels: string;
  /** The record that it came in. */
  readonly at: Coordinates;
}

export interface TokenizedPrompt extends Omit<Prompt, 'text'> {
  readonly tokens: Int32Array;
}

/** A part of an answer, as tokens. */
export interface TokenDelta {
  readonly id: string;
  /** The record of its prompt. */
  readonly at: Coordinates;
  /** 0 for the first delta of an answer, then rising by one. */
  readonly index: number;
  readonly tokens: Int32Array;
  /** On the first delta, the stop strings of its prompt, if it has any: none of them is to be shown. */
  readonly stop?: readonly string[];
  /** Their id is empty where an answer ended before any had spoken. */
  readonly weights: WeightsVersion;
  /** Set on the last delta of an answer. */
  readonly finish: FinishReason | null;
  /** On the last delta. */
  readonly usage?: AnswerUsage;
  /** On the last delta, where it is known of its weights. */
  readonly freshness?: Freshness;
}

/** What an answer took, in tokens. */
export interface AnswerUsage {
  /** Of the prompt, as far as it was read; an end-of-text token in front of it counts too. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the prompt's, those that had been read before, for another answer. */
  readonly cachedTokens: number;
}

/** How long the newest text that weights have seen has taken, in milliseconds from when it was appended to its topic. */
export interface Freshness {
  /** Until a step had trained on it. */
  readonly trainedMs: number;
  /** Until the first token that those weights spoke in the answer. */
  readonly spokenMs: number;
}

/** A part of an answer, as text; whole characters only. */
export interface TextDelta extends Omit<TokenDelta, 'tokens' | 'stop'> {
  readonly event: 'generation';
  readonly text: string;
}

/** What a stream ends in: reports that can be published as JSON. */
export type Report = StepReport | CheckpointReport | TextDelta;

/** Anything that JSON can carry; states of operators are made of it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A file that belongs to a snapshot: staged by its maker, moved into the checkpoint by the store. */
export interface SnapshotFile {
  /** Name inside the checkpoint, for instance `weights.safetensors`. */
  readonly name: string;
  readonly path: string;
}

/** What one operator puts into the basket at a cut and finds there at a restore. */
export interface Snapshot {
  readonly state: Json;
  readonly files?: readonly SnapshotFile[];
}
