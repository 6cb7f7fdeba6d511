import { z } from 'zod';
import { graphHeadSchema } from './graph.ts';
import { kinds } from './registry.ts';

/**
 * JSON Schema of graphs, for editors: what validation checks, but for what neighbours and topics must be to each other,
 * which only lint knows. `npm run docs` writes it to `graph.schema.json`, which the package ships.
 */
export function graphJsonSchema(): object {
  const { properties = {}, ...head } = jsonSchema(graphHeadSchema);
  const steps = kinds.map(({ kind, summary, config }) => ({
    type: 'object',
    description: summary,
    properties: {
      uid: { type: 'string', minLength: 1, description: 'State belongs to it.' },
      [kind]: orNothing(config),
    },
    required: ['uid', kind],
    additionalProperties: false,
  }));
  const { propertyNames } = z.looseObject({ propertyNames: z.unknown() }).parse(properties['streams']);
  return {
    ...head,
    title: 'Millrace graph',
    properties: {
      ...properties,
      streams: {
        type: 'object',
        description: 'By name: operators in the order of the flow.',
        propertyNames,
        additionalProperties: { type: 'array', minItems: 2, items: { anyOf: steps } },
      },
    },
  };
}

/** `decode:` with nothing behind it is as good as `decode: {}`. */
function orNothing(config: z.ZodType): object {
  const { $schema: _dialect, ...schema } = jsonSchema(config);
  return { anyOf: [schema, { type: 'null' }] };
}

function jsonSchema(schema: z.ZodType): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
}
