import { z } from 'zod';

/** Reports as the operator `publish` writes them, read back from a topic. Unknown fields are ignored. */

const weights = z.object({ id: z.string(), step: z.number() });

const deltaSchema = z.object({
  event: z.literal('generation'),
  id: z.string(),
  index: z.number(),
  text: z.string(),
  finish: z.enum(['stop', 'length']).nullable(),
  weights,
});

const stepSchema = z.object({
  event: z.literal('step'),
  step: z.number(),
  // JSON has no NaN: what was not finite is null.
  loss: z.number().nullable(),
  bitsPerByte: z.number().nullable(),
  gradNorm: z.number().nullable(),
  lr: z.number(),
  tokens: z.number(),
  totals: z.object({ bytes: z.number(), bits: z.number() }),
  skipped: z.boolean(),
});

const checkpointSchema = z.object({
  event: z.literal('checkpoint'),
  id: z.string(),
  reason: z.enum(['timer', 'steps', 'savepoint', 'final']),
  bytes: z.number(),
  durationMs: z.number(),
});

export type PublishedDelta = z.output<typeof deltaSchema>;
export type PublishedStep = z.output<typeof stepSchema>;
export type Published = PublishedDelta | PublishedStep | z.output<typeof checkpointSchema>;

const publishedSchema: z.ZodType<Published> = z.discriminatedUnion('event', [
  deltaSchema,
  stepSchema,
  checkpointSchema,
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
