import { z } from 'zod';
import { compressions, ownSchemaNames } from '../../infra/index.ts';
import type { Compression } from '../../infra/index.ts';
import { fieldPathSchema } from '../../operators/field-path.ts';
import { byteSizeSchema, durationSchema } from '../../operators/units.ts';
import type { ByteSize, Duration } from '../../operators/units.ts';

/** A topic of a graph: how it is made where it is missing, and what its values are. */
export interface TopicSpec {
  /** When absent, as many as it has, and one when it is made. */
  readonly partitions?: number | undefined;
  readonly retentionBytes?: ByteSize | undefined;
  readonly retentionTime?: Duration | undefined;
  /** Text is read and reports are written as JSON when absent. */
  readonly format?: 'text' | 'json' | 'avro' | undefined;
  /** Where the text stands in the values. */
  readonly field?: string | undefined;
  /** Of Avro: one of ours by name (`millrace.Document`), or a file. */
  readonly schema?: string | undefined;
  /** On Kafka, of what is produced here; as kafka.compression says when absent. */
  readonly compression?: Compression | undefined;
}

export const topicSchema: z.ZodType<TopicSpec> = z.strictObject({
  partitions: z.int().min(1).max(1024).optional(),
  retentionBytes: byteSizeSchema.optional(),
  retentionTime: durationSchema.optional(),
  format: z.enum(['text', 'json', 'avro']).optional(),
  field: fieldPathSchema.optional(),
  schema: z
    .string()
    .refine(isAvroSchemaName, `must be a file (.avsc) or one of ${ownSchemaNames.join(', ')}`)
    .optional(),
  compression: z.enum(compressions).optional(),
});

function isAvroSchemaName(text: string): boolean {
  return text.endsWith('.avsc') || ownSchemaNames.includes(text);
}
