import type { Type } from 'avsc';
import { MillraceError } from '../../operators/errors.ts';
import type { Content } from '../../operators/field-path.ts';
import type { TopicFormat } from '../../operators/formats.ts';
import type { AvroSchema } from './avro-schema.ts';
import type { SchemaRegistry } from './registry.ts';
import { asBuffer, frame, unframe } from './wire.ts';
import { WriterTypes } from './writer-types.ts';

export interface AvroFormatOptions {
  readonly topic: string;
  /** Where the text stands. */
  readonly field: string | null;
  /** What is written, and as what the values of other writers are read; without it they are read as they were written. */
  readonly schema: AvroSchema | null;
  /** Knows the writers' schemas; without it values are bare bodies of the schema. */
  readonly registry: SchemaRegistry | null;
}

/**
 * Avro: with a registry in Confluent's wire format, where each value names its writer's schema, which is resolved to the
 * topic's; without one as bare bodies of the topic's schema, which must then never change.
 *
 * Reading fails with `record-not-avro`, `schema-unknown` or `schema-mismatch`, which are poison, or as the registry does.
 * Writing leaves out fields that the schema does not have and fails with `value-unfit` when it wants another value.
 */
export function avroFormat({ topic, field, schema, registry }: AvroFormatOptions): TopicFormat {
  const writers = registry && new WriterTypes(registry, schema?.type ?? null);
  let idOfOurs: Promise<number> | null = null;

  const registered = (ours: AvroSchema, at: SchemaRegistry): Promise<number> => {
    idOfOurs ??= at.idOf(`${topic}-value`, ours.json).catch((error: unknown) => {
      idOfOurs = null;
      throw error;
    });
    return idOfOurs;
  };
  const needed = (): AvroSchema => {
    if (schema) return schema;
    throw new MillraceError(
      'value-unfit',
      `Topic ${topic} has no schema to write by. Give it one in the graph, such as schema: millrace.Document.`,
    );
  };

  return {
    name: 'avro',
    field,
    read(value) {
      if (!writers) return decodeBody(needed().type, asBuffer(value));
      const { schemaId, body } = unframe(value);
      const writer = writers.of(schemaId);
      return writer instanceof Promise
        ? writer.then(({ type, resolver }) => decodeBody(type, body, resolver))
        : decodeBody(writer.type, body, writer.resolver);
    },
    write(content) {
      const ours = needed();
      const body = encodeBody(ours.type, content);
      return registry ? registered(ours, registry).then((id) => frame(id, body)) : body;
    },
  };
}

type Resolver = ReturnType<Type['createResolver']>;

function decodeBody(type: Type, body: Buffer, resolver?: Resolver): Content {
  try {
    const content: Content = type.fromBuffer(body, resolver);
    return content;
  } catch (cause) {
    throw new MillraceError(
      'record-not-avro',
      `The value is not Avro of schema ${nameOf(type)}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

function encodeBody(type: Type, content: Content): Buffer {
  try {
    return type.toBuffer(type.clone(content, { skipMissingFields: true, wrapUnions: true }));
  } catch (cause) {
    throw new MillraceError(
      'value-unfit',
      `A value does not fit schema ${nameOf(type)}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

function nameOf(type: Type): string {
  return type.name ?? type.typeName;
}
