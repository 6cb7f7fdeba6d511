import { z } from 'zod';
import type { Alert } from './alert.ts';
import type { ExaminedDocument } from './document-exams.ts';
import type { Drift, DriftChange, DriftOptions } from './drift.ts';
import type { Standing } from './recent-values.ts';
import { byteSizeSchema, toBytes } from './units.ts';
import type { ByteSize } from './units.ts';

/** What a document must be like to be told of: all that a rule names. */
export interface SurpriseRule {
  readonly name: string;
  readonly topic?: string | undefined;
  readonly minBytes: number;
  readonly bitsPerByte?: number | undefined;
  readonly percentile?: number | undefined;
  readonly sigma?: number | undefined;
}

export const ruleSchema: z.ZodType<SurpriseRule> = z
  .strictObject({
    name: z.string().min(1),
    topic: z.string().min(1).optional(),
    minBytes: z.int().nonnegative().default(0),
    bitsPerByte: z.number().positive().optional(),
    percentile: z.number().gt(0).max(100).optional(),
    sigma: z.number().positive().optional(),
  })
  .refine(({ bitsPerByte, percentile, sigma }) => [bitsPerByte, percentile, sigma].some((each) => each !== undefined), {
    error: 'must say how surprising: bitsPerByte, percentile, sigma, or several of them, which then must all be met',
  });

export interface DriftSpec {
  readonly block: ByteSize;
  readonly reference: number;
  readonly threshold: number;
  readonly direction: 'up' | 'both';
}

export const driftSchema: z.ZodType<DriftSpec> = z.strictObject({
  block: byteSizeSchema.default('16KB'),
  reference: z.int().min(4).default(64),
  threshold: z.number().positive().default(8),
  direction: z.enum(['up', 'both']).default('up'),
});

export function driftOptions({ block, reference, threshold, direction }: DriftSpec): DriftOptions {
  return { blockBytes: toBytes(block), reference, threshold, both: direction === 'both' };
}

/** An alert without what all of an operator's have in common. */
export type Finding = Omit<Alert, 'event' | 'id' | 'job' | 'step'>;

/** A document, and where it stands among those of its source before it. */
export interface RankedDocument extends ExaminedDocument {
  readonly bitsPerByte: number;
  /** Null while there were too few before it. */
  readonly standing: Standing | null;
}

/** What rules find in a document. What can't be said of it yet is no reason to alert. */
export function findingsOf(document: RankedDocument, rules: readonly SurpriseRule[]): readonly Finding[] {
  const { at, bytes, bitsPerByte, standing, timestampMs } = document;
  const { topic, partition, offset } = at;
  const subject = `${topic}/${partition}@${offset}`;
  return rules
    .filter(
      (rule) =>
        (rule.topic ?? topic) === topic &&
        bytes >= rule.minBytes &&
        reaches(bitsPerByte, rule.bitsPerByte) &&
        reaches(standing?.percentile, rule.percentile) &&
        reaches(standing?.sigma, rule.sigma),
    )
    .map(({ name }) => {
      const rank = standing ? `, ${standing.sigma.toFixed(1)} σ above its source` : '';
      return {
        rule: name,
        state: 'raised',
        subject,
        figures: { bytes, bitsPerByte, ...standing },
        message: `Record ${subject} took ${bitsPerByte.toFixed(2)} bits per byte${rank}.`,
        atMs: timestampMs,
      };
    });
}

function reaches(value: number | undefined, least: number | undefined): boolean {
  return least === undefined || (value !== undefined && value >= least);
}

/** What the drift of a source says of its newest text. */
export function driftFinding(topic: string, drift: Drift, text: DriftedText): Finding | null {
  const change = drift.add(text.bytes, text.bits);
  if (!change) return null;
  const { state, bitsPerByte, usual } = change;
  return {
    rule: 'drift',
    state,
    subject: topic,
    figures: { bitsPerByte, usual: usual.mean, deviation: usual.deviation },
    message: driftMessage(topic, change),
    atMs: text.timestampMs,
  };
}

interface DriftedText {
  readonly bytes: number;
  readonly bits: number;
  readonly timestampMs: number;
}

function driftMessage(topic: string, { state, bitsPerByte, usual, by }: DriftChange): string {
  const figures = `${bitsPerByte.toFixed(2)} bits per byte, where ${usual.mean.toFixed(2)} were usual`;
  if (state === 'raised') return `Source ${topic} has moved: ${figures}.`;
  if (by === 'return') return `Source ${topic} is as it was: ${figures}.`;
  return `What source ${topic} has become is usual by now: ${figures}.`;
}
