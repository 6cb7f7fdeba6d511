import type { Type } from 'avsc';
import { MillraceError } from '../../operators/errors.ts';
import { parseAvroSchema } from './avro-schema.ts';
import type { RegisteredSchema, SchemaRegistry } from './registry.ts';

/** What decodes the values of one writer. */
export interface Writer {
  /** The reader's type, or the writer's own where there is no reader. */
  readonly type: Type;
  readonly resolver?: ReturnType<Type['createResolver']>;
}

/** A schema that others did not know a moment ago may have been registered since. */
const UNKNOWN_FOR_MS = 10_000;
const MOST_UNKNOWN = 1000;
const MOST_REFERENCES = 100;

/** Schemas of writers by id, asked for once; what a registry does not know is asked for again after a while. */
export class WriterTypes {
  readonly #registry: SchemaRegistry;
  readonly #reader: Type | null;
  readonly #writers = new Map<number, Writer | Promise<Writer>>();
  readonly #unknown = new Map<number, { readonly error: MillraceError; readonly untilMs: number }>();

  constructor(registry: SchemaRegistry, reader: Type | null) {
    this.#registry = registry;
    this.#reader = reader;
  }

  /** At once where it is known. Fails with `schema-unknown`, `schema-mismatch`, `record-not-avro`, or as the registry does. */
  of(id: number): Writer | Promise<Writer> {
    const known = this.#writers.get(id);
    if (known) return known;
    const unknown = this.#unknown.get(id);
    if (unknown && performance.now() < unknown.untilMs) throw unknown.error;
    const asked = this.#find(id);
    this.#writers.set(id, asked);
    asked.then(
      (writer) => this.#writers.set(id, writer),
      (error: unknown) => this.#forget(id, error),
    );
    return asked;
  }

  #forget(id: number, error: unknown): void {
    this.#writers.delete(id);
    if (!(error instanceof MillraceError) || !POISON.has(error.code)) return;
    if (this.#unknown.size >= MOST_UNKNOWN) this.#unknown.clear();
    this.#unknown.set(id, { error, untilMs: performance.now() + UNKNOWN_FOR_MS });
  }

  async #find(id: number): Promise<Writer> {
    const registered = await this.#registry.schema(id);
    if (registered.schemaType !== 'AVRO') {
      throw new MillraceError(
        'record-not-avro',
        `Schema ${id} of the registry is ${registered.schemaType}, not Avro. Give the topic the format of its values.`,
      );
    }
    const writer = await this.#parse(id, registered);
    const reader = this.#reader;
    if (!reader || reader.equals(writer)) return { type: reader ?? writer };
    try {
      return { type: reader, resolver: reader.createResolver(writer) };
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MillraceError(
        'schema-mismatch',
        `Schema ${id} of the registry, by which the value was written, can't be read as ${reader.name ?? 'the schema'} ` +
          `of the topic: ${reason}`,
        { cause },
      );
    }
  }

  async #parse(id: number, registered: RegisteredSchema): Promise<Type> {
    const named: Record<string, Type> = {};
    const seen = new Set<string>();
    const define = async ({ references, schema }: RegisteredSchema): Promise<Type> => {
      for (const { subject, version } of references) {
        const place = `${subject}/${version}`;
        if (seen.has(place) || seen.size >= MOST_REFERENCES) continue;
        seen.add(place);
        await define(await this.#registry.version(subject, version));
      }
      return parseAvroSchema(schema, named).type;
    };
    try {
      return await define(registered);
    } catch (cause) {
      if (cause instanceof MillraceError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MillraceError('schema-mismatch', `Schema ${id} of the registry can't be understood: ${reason}`, {
        cause,
      });
    }
  }
}

const POISON: ReadonlySet<string> = new Set(['schema-unknown', 'schema-mismatch', 'record-not-avro']);
