import { z } from 'zod';
import { graphHeadSchema } from './graph.ts';
import { kinds } from './registry.ts';

/**
 * JSON Schema of graphs, for editors: what validation checks, but for what neighbours and topics must be to each other,
 * which only lint knows. `npm run docs` writes it to `graph.schema.json`, which the package ships.
 */
export function graphJsonSchema(): object {
  const { properties = {}, ...head } = jsonSchema(graphHeadSchema);
  const file = { type: 'string', minLength: 1 };
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
  /** An operator of one's own, of which editors know nothing but that it is there. */
  const ownStep = {
    type: 'object',
    properties: { uid: { type: 'string', minLength: 1 } },
    propertyNames: { not: { enum: kinds.map(({ kind }) => kind) } },
    required: ['uid'],
    minProperties: 2,
    maxProperties: 2,
  };
  const { propertyNames } = z.looseObject({ propertyNames: z.unknown() }).parse(properties['streams']);
  return {
    ...head,
    title: 'Millrace graph',
    properties: {
      ...properties,
      operators: {
        description: 'Modules with operators of your own, beside this file.',
        anyOf: [file, { type: 'array', items: file }],
      },
      streams: { type: 'object', description: 'By name: operators in the order of the flow.', propertyNames },
    },
    if: { required: ['operators'] },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    then: { properties: { streams: streamsOf([{ $ref: '#/$defs/step' }, ownStep]) } },
    else: { properties: { streams: streamsOf([{ $ref: '#/$defs/step' }]) } },
    $defs: { step: { anyOf: steps } },
  };
}

function streamsOf(steps: readonly object[]): object {
  return { additionalProperties: { type: 'array', minItems: 2, items: { anyOf: steps } } };
}

/** `decode:` with nothing behind it is as good as `decode: {}`. */
function orNothing(config: z.ZodType): object {
  const { $schema: _dialect, ...schema } = jsonSchema(config);
  return { anyOf: [schema, { type: 'null' }] };
}

function jsonSchema(schema: z.ZodType): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
}
