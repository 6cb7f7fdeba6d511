import { z } from 'zod';
import { webhookSchema } from './webhook.ts';
import type { WebhookSpec } from './webhook.ts';

/** Who is told of alerts, beside those who follow their topic. */
export interface AlertsSpec {
  readonly topic: string;
  readonly webhook: WebhookSpec;
}

export const alertsSchema: z.ZodType<AlertsSpec> = z.strictObject({
  topic: z.string().min(1).default('alerts'),
  webhook: webhookSchema,
});
