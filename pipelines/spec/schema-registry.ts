import { z } from 'zod';
import { durationSchema } from '../../operators/units.ts';
import type { Duration } from '../../operators/units.ts';
import { secretSchema, urlSchema } from './secrets.ts';
import type { SecretSpec } from './secrets.ts';

/** The registry that knows the schemas of Avro topics. */
export interface SchemaRegistrySpec {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: SecretSpec | undefined;
  /** Instead of username and password. */
  readonly token?: SecretSpec | undefined;
  /** False where schemas are registered by somebody else. */
  readonly register: boolean;
  /** How long it is waited for while it does not answer. */
  readonly patience: Duration;
}

export const schemaRegistrySchema: z.ZodType<SchemaRegistrySpec> = z.strictObject({
  url: urlSchema,
  username: z.string().min(1).optional(),
  password: secretSchema.optional(),
  token: secretSchema.optional(),
  register: z.boolean().default(true),
  patience: durationSchema.default('30s'),
});
