import { z } from 'zod';
import { heldOutSchema } from '../../operators/held-out-spec.ts';
import type { HeldOutSpec } from '../../operators/held-out-spec.ts';
import { webhookSchema } from './webhook.ts';
import type { WebhookSpec } from './webhook.ts';

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
  webhook: webhookSchema.optional(),
});
