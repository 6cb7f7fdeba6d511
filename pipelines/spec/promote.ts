import { z } from 'zod';
import { heldOutSchema } from '../../operators/held-out-spec.ts';
import type { HeldOutSpec } from '../../operators/held-out-spec.ts';
import { durationSchema } from '../../operators/units.ts';
import type { Duration } from '../../operators/units.ts';
import { secretSchema, urlSchema } from './secrets.ts';
import type { SecretSpec } from './secrets.ts';

/** Where decisions go unless the graph says otherwise. */
const PROMOTIONS_TOPIC = 'promotions';

/** What a snapshot must show before it may speak. Without it, each snapshot speaks. */
export interface PromoteSpec {
  /** Gets a record for each decision. */
  readonly topic: string;
  /** Text that is never trained on, and how much of it an exam takes. */
  readonly heldOut?: HeldOutSpec | undefined;
  /** `shipped`, `none`, or a file of items. */
  readonly cloze: string;
  /** Live prompts that a candidate answers in each exam; its answers are recorded, and not shown. */
  readonly prompts: number;
  readonly bars: Bars;
  /** So many results in a row that are worse than its predecessor's take a champion's place away; 0 for never. */
  readonly fallBackAfter: number;
  readonly webhook?: WebhookSpec | undefined;
}

/** What an exam must come to. */
export interface Bars {
  /** Bits per byte that a candidate may be worse by than the champion. */
  readonly margin: number;
  /** Bits per byte that it may have at most, whoever the champion is. */
  readonly bitsPerByte?: number | undefined;
  /** Share of the cloze items that it must get right. */
  readonly passRate: number;
}

export interface WebhookSpec {
  readonly url: string;
  /** Signs what is sent; MILLRACE_WEBHOOK_SECRET goes before it. */
  readonly secret?: SecretSpec | undefined;
  /** Tries for each decision, before it goes to the dead letters. */
  readonly attempts: number;
  /** Wait after the first failure; it doubles with each, up to a minute. */
  readonly backoff: Duration;
}

export const promoteSchema: z.ZodType<PromoteSpec> = z.strictObject({
  topic: z.string().min(1).default(PROMOTIONS_TOPIC),
  heldOut: heldOutSchema.optional(),
  cloze: z.string().min(1).default('shipped'),
  prompts: z.int().min(0).max(32).default(4),
  bars: z
    .strictObject({
      margin: z.number().nonnegative().default(0.02),
      bitsPerByte: z.number().positive().optional(),
      passRate: z.number().min(0).max(1).default(0),
    })
    .prefault({}),
  fallBackAfter: z.int().nonnegative().default(3),
  webhook: z
    .strictObject({
      url: urlSchema,
      secret: secretSchema.optional(),
      attempts: z.int().min(1).max(20).default(8),
      backoff: durationSchema.default('1s'),
    })
    .optional(),
});
