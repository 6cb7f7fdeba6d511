export { avroFormat } from './avro-format.ts';
export { loadAvroSchema, ownSchemaNames } from './avro-schema.ts';
export { SchemaRegistry } from './registry.ts';
export type { SchemaRegistryOptions } from './registry.ts';
