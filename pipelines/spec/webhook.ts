import { z } from 'zod';
import { durationSchema } from '../../operators/units.ts';
import type { Duration } from '../../operators/units.ts';
import { secretSchema, urlSchema } from './secrets.ts';
import type { SecretSpec } from './secrets.ts';

/** Who is told of things over HTTP. */
export interface WebhookSpec {
  readonly url: string;
  /** Signs what is sent; MILLRACE_WEBHOOK_SECRET goes before it. */
  readonly secret?: SecretSpec | undefined;
  /** Tries for each message, before it goes to the dead letters. */
  readonly attempts: number;
  /** Wait after the first failure; it doubles with each, up to a minute. */
  readonly backoff: Duration;
}

export const webhookSchema: z.ZodType<WebhookSpec> = z.strictObject({
  url: urlSchema,
  secret: secretSchema.optional(),
  attempts: z.int().min(1).max(20).default(8),
  backoff: durationSchema.default('1s'),
});
