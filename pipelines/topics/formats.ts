import { avroFormat, loadAvroSchema } from '../../infra/index.ts';
import type { SchemaRegistry } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import { jsonFormat, plainFormat, textFormat } from '../../operators/formats.ts';
import type { Formats, TopicFormat } from '../../operators/formats.ts';
import { registryOf } from '../job/registry.ts';
import type { Environment } from '../job/secrets.ts';
import type { SchemaRegistrySpec } from '../spec/schema-registry.ts';
import type { TopicSpec } from '../spec/topics.ts';

export interface TopicsSpec {
  readonly topics: Readonly<Record<string, TopicSpec>>;
  readonly schemaRegistry?: SchemaRegistrySpec | undefined;
}

/** The formats that a graph gives its topics; others are plain. Throws `config-invalid` for what can't be had. */
export function formatsOf({ topics, schemaRegistry }: TopicsSpec, env: Environment = process.env): Formats {
  const isAvro = Object.values(topics).some(({ format }) => format === 'avro');
  const registry = isAvro ? registryOf(schemaRegistry, env) : null;
  const formats = new Map(Object.entries(topics).map(([name, spec]) => [name, formatOf(name, spec, registry)]));
  return { of: (topic) => formats.get(topic) ?? plainFormat };
}

function formatOf(topic: string, spec: TopicSpec, registry: SchemaRegistry | null): TopicFormat {
  const { format, field = null, schema } = spec;
  switch (format) {
    case undefined:
      return plainFormat;
    case 'text':
      return textFormat;
    case 'json':
      return jsonFormat(field);
    case 'avro':
      if (!schema && !registry) {
        throw new MillraceError(
          'config-invalid',
          `Topic ${topic} is Avro, but of what schema? Name a schemaRegistry (or MILLRACE_REGISTRY_URL) or the topic's schema.`,
        );
      }
      return avroFormat({ topic, field, schema: schema ? loadAvroSchema(schema) : null, registry });
  }
}
