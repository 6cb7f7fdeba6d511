import { z } from 'zod';
import { byteSizeSchema } from './units.ts';
import type { ByteSize } from './units.ts';

/** Text that is never trained on, and how much of it an exam takes. */
export type HeldOutSpec =
  { readonly file: string; readonly bytes: ByteSize } | { readonly topic: string; readonly bytes: ByteSize };

const bytes = byteSizeSchema.default('16KB');

export const heldOutSchema: z.ZodType<HeldOutSpec> = z.union(
  [z.strictObject({ file: z.string().min(1), bytes }), z.strictObject({ topic: z.string().min(1), bytes })],
  { error: 'must be { file: path } or { topic: name }, with bytes for how much of it an exam takes' },
);
