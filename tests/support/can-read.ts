import { parseAvroSchema } from '../../infra/avro/avro-schema.ts';

/**
 * Whether a reader of one schema reads what was written by another, by Avro's rules of resolution. What a registry calls
 * BACKWARD is that the new schema reads what the old one wrote, FORWARD that the old one reads what the new one writes, and
 * FULL both.
 */
export function canRead({ reader, writer }: { readonly reader: object; readonly writer: object }): boolean {
  const [reading, written] = [reader, writer].map((schema) => parseAvroSchema(JSON.stringify(schema)).type);
  try {
    if (reading && written) reading.createResolver(written);
    return true;
  } catch {
    return false;
  }
}
