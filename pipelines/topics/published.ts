import { z } from 'zod';
import type { StepFault } from '../../model/types.ts';
import type {
  Alert,
  AnswerUsage,
  CheckpointReport,
  FinishReason,
  Freshness,
  SurpriseRecord,
  Watermark,
} from '../../operators/index.ts';

/** Reports as the operator `publish` writes them, read back from a topic. Unknown fields are ignored. */

export interface PublishedDelta {
  readonly event: 'generation';
  readonly id: string;
  readonly index: number;
  readonly text: string;
  readonly finish: FinishReason | null;
  readonly weights: PublishedWeights;
  /** On the last part. */
  readonly usage?: AnswerUsage | null | undefined;
  readonly freshness?: Freshness | null | undefined;
}

/** What is null or absent was not known, or a version of Millrace wrote it that did not say. */
interface PublishedWeights {
  readonly id: string;
  readonly step: number;
  readonly seen?: Watermark | undefined;
  readonly textAtMs?: number | null | undefined;
  readonly trainedAtMs?: number | null | undefined;
}

/** JSON has no NaN: what was not finite is null. */
export interface PublishedStep {
  readonly event: 'step';
  readonly step: number;
  readonly loss: number | null;
  readonly bitsPerByte: number | null;
  readonly gradNorm: number | null;
  readonly lr: number;
  readonly tokens: number;
  readonly totals: { readonly bytes: number; readonly bits: number };
  readonly skipped: boolean;
  readonly fault: StepFault | null;
  readonly attempt: 1 | 2;
  /** Present when the step was of rows that were trained on before. */
  readonly replayed?: { readonly rows: number } | null | undefined;
}

type PublishedCheckpoint = Omit<CheckpointReport, 'path'>;

/** What a topic of surprise, or of alerts, tells; of alerts what people are shown. */
export type PublishedSurprise = SurpriseRecord;
export type PublishedAlert = Pick<Alert, 'event' | 'rule' | 'state' | 'subject' | 'message'>;

export type Published = PublishedDelta | PublishedStep | PublishedCheckpoint | PublishedSurprise | PublishedAlert;

const publishedSchema: z.ZodType<Published> = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('generation'),
    id: z.string(),
    index: z.number(),
    text: z.string(),
    finish: z.enum(['stop', 'length', 'deadline', 'cancelled']).nullable(),
    weights: z.object({
      id: z.string(),
      step: z.number(),
      seen: z.record(z.string(), z.number()).optional(),
      textAtMs: z.number().nullish(),
      trainedAtMs: z.number().nullish(),
    }),
    usage: z.object({ promptTokens: z.number(), completionTokens: z.number(), cachedTokens: z.number() }).nullish(),
    freshness: z.object({ trainedMs: z.number(), spokenMs: z.number() }).nullish(),
  }),
  z.object({
    event: z.literal('step'),
    step: z.number(),
    loss: z.number().nullable(),
    bitsPerByte: z.number().nullable(),
    gradNorm: z.number().nullable(),
    lr: z.number(),
    tokens: z.number(),
    totals: z.object({ bytes: z.number(), bits: z.number() }),
    skipped: z.boolean(),
    // Earlier versions have not written these.
    fault: z.enum(['non-finite-loss', 'loss-spike', 'gradient-spike']).nullable().default(null),
    attempt: z.union([z.literal(1), z.literal(2)]).default(1),
    replayed: z.object({ rows: z.number() }).nullish(),
  }),
  z.object({
    event: z.literal('checkpoint'),
    id: z.string(),
    reason: z.enum(['timer', 'steps', 'handover', 'savepoint', 'deploy', 'stop', 'final']),
    bytes: z.number(),
    durationMs: z.number(),
  }),
  z.object({
    event: z.literal('surprise'),
    at: z.object({ topic: z.string(), partition: z.number(), offset: z.number() }),
    key: z.string().nullable(),
    timestampMs: z.number(),
    step: z.number(),
    bytes: z.number(),
    bits: z.number(),
    bitsPerByte: z.number(),
    percentile: z.number().nullable(),
    sigma: z.number().nullable(),
    tokens: z.array(z.object({ text: z.string(), bits: z.number() })),
  }),
  z.object({
    event: z.literal('alert'),
    rule: z.string(),
    state: z.enum(['raised', 'cleared']),
    subject: z.string(),
    message: z.string(),
  }),
]);

/** The report that a record's value holds, or null when it holds something else. */
export function readPublished(value: Uint8Array | null): Published | null {
  const text = value && textOf(value);
  if (!text) return null;
  const parsed = publishedSchema.safeParse(jsonOf(text));
  return parsed.success ? parsed.data : null;
}

/** Bytes as text, or null when they are no UTF-8. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The object or list that a text holds as JSON. Bare numbers and words are taken for text, which they mostly are. */
export function jsonOf(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
