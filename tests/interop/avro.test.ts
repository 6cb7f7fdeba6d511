import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { avroFormat } from '../../infra/index.ts';
import { loadAvroSchema, parseAvroSchema } from '../../infra/avro/avro-schema.ts';
import { askReference } from '../support/avro-reference.ts';
import { canRead } from '../support/can-read.ts';
import { ownValues } from '../support/own-values.ts';
import { printedSeed } from '../support/random.ts';

test('Apache Avro for Python writes our values as we do, and reads what we write', async () => {
  const cases = ownValues.map(({ schema, value }) => {
    // For Python's dates the number would have to be one.
    const json = loadAvroSchema(schema).json.replaceAll(',"logicalType":"timestamp-millis"', '');
    return { json, value, ours: written(json, value) };
  });
  expect(await askReference(cases.map(({ json, value }) => ({ do: 'encode', schema: json, value })))).toEqual(
    cases.map(({ ours }) => ours),
  );
  const read = cases.map(({ json, ours }) => ({ do: 'decode', writer: json, reader: json, hex: ours }) as const);
  expect(await askReference(read)).toEqual(cases.map(({ value }) => value));
});

test('it finds the same schemas compatible, and resolves values alike', async () => {
  const seed = printedSeed('avro');
  const pairs = fc.sample(fc.tuple(recordSchemas, recordSchemas), { numRuns: 300, seed });
  const answers = await askReference(
    pairs.map(([reader, writer]) => ({
      do: 'can_read',
      reader: JSON.stringify(reader),
      writer: JSON.stringify(writer),
    })),
  );
  expect(new Set(answers)).toEqual(new Set([true, false]));
  expect(pairs.map(([reader, writer]) => canRead({ reader, writer }))).toEqual(answers);

  const readable = pairs.filter((_pair, at) => answers[at] === true);
  const resolved = readable.map(([reader, writer]) => {
    const [to, by] = [reader, writer].map((schema) => parseAvroSchema(JSON.stringify(schema)).type);
    const body = by?.toBuffer(valueOf(writer)) ?? Buffer.of();
    return { reader, writer, hex: body.toString('hex'), ours: by && to?.fromBuffer(body, to.createResolver(by)) };
  });
  const theirs = await askReference(
    resolved.map(({ reader, writer, hex }) => {
      return { do: 'decode', reader: JSON.stringify(reader), writer: JSON.stringify(writer), hex };
    }),
  );
  expect(JSON.parse(JSON.stringify(resolved.map(({ ours }) => ours)))).toEqual(theirs);
});

function written(json: string, value: object): string {
  const format = avroFormat({ topic: 't', field: null, schema: parseAvroSchema(json), registry: null });
  const body = format.write({ ...value });
  return body instanceof Promise ? '' : Buffer.from(body).toString('hex');
}

interface RecordSchema {
  readonly type: 'record';
  readonly name: string;
  readonly fields: readonly {
    readonly name: string;
    readonly type: string | readonly string[];
    readonly default?: null;
  }[];
}

/** Small records whose fields come and go, change their types, and have defaults or not. */
const fieldTypes = fc.constantFrom<string | readonly string[]>(
  'int',
  'long',
  'double',
  'string',
  ['null', 'int'],
  ['null', 'string'],
);
const recordSchemas: fc.Arbitrary<RecordSchema> = fc
  .array(fc.record({ name: fc.constantFrom('a', 'b', 'c'), type: fieldTypes, hasDefault: fc.boolean() }), {
    maxLength: 3,
  })
  .map((fields) => ({
    type: 'record',
    name: 'R',
    fields: fields
      .filter(({ name }, at) => fields.findIndex((each) => each.name === name) === at)
      .map(({ name, type, hasDefault }) => ({
        name,
        type,
        ...(hasDefault && typeof type !== 'string' ? { default: null } : {}),
      })),
  }));

function valueOf({ fields }: RecordSchema): Record<string, unknown> {
  return Object.fromEntries(fields.map(({ name, type }) => [name, String(type).includes('string') ? 'x' : 7]));
}
