import { readFileSync } from 'node:fs';
import avsc from 'avsc';
import type { Type } from 'avsc';
import { MillraceError } from '../../operators/errors.ts';

/** A schema as its author wrote it, and what reads and writes by it. */
export interface AvroSchema {
  readonly json: string;
  readonly type: Type;
}

/** Our own schemas, which graphs name instead of a file. */
const OWN: ReadonlyMap<string, string> = new Map([
  ['millrace.Document', 'document.avsc'],
  ['millrace.Prompt', 'prompt.avsc'],
  ['millrace.GenerationDelta', 'generation-delta.avsc'],
  ['millrace.StepReport', 'step-report.avsc'],
  ['millrace.Promotion', 'promotion.avsc'],
  ['millrace.Control', 'control.avsc'],
  ['millrace.Deployment', 'deployment.avsc'],
  ['millrace.Surprise', 'surprise.avsc'],
  ['millrace.Alert', 'alert.avsc'],
  ['millrace.Evaluation', 'evaluation.avsc'],
]);

export const ownSchemaNames: readonly string[] = [...OWN.keys()];

/** Reads a schema: one of ours by its name, or a file. Throws `config-invalid` when there is none. */
export function loadAvroSchema(nameOrPath: string): AvroSchema {
  const own = OWN.get(nameOrPath);
  const place = own === undefined ? nameOrPath : new URL(own, import.meta.url);
  try {
    return parseAvroSchema(readFileSync(place, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError(
      'config-invalid',
      `${nameOrPath} is no Avro schema: ${reason} Name a file (.avsc) or one of ${ownSchemaNames.join(', ')}.`,
      { cause },
    );
  }
}

/** Throws avsc's own errors. `named` are types that the schema may refer to; those that it defines are added. */
export function parseAvroSchema(json: string, named: Record<string, Type> = {}): AvroSchema {
  const schema: unknown = JSON.parse(json);
  if (!isSchema(schema)) throw new Error('it is neither an object, nor a list, nor a name');
  const type = avsc.Type.forSchema(schema, { registry: named, omitRecordMethods: true });
  return { json: JSON.stringify(schema), type };
}

/** What avsc looks into further by itself. */
function isSchema(value: unknown): value is Parameters<typeof avsc.Type.forSchema>[0] {
  return typeof value === 'string' || (typeof value === 'object' && value !== null);
}
