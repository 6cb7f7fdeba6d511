import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { avroFormat, loadAvroSchema, ownSchemaNames } from '../../../infra/index.ts';
import { canRead } from '../../support/can-read.ts';
import { ownValues } from '../../support/own-values.ts';

const RELEASED = new URL('../../fixtures/avro/released/', import.meta.url);
const OWN = new URL('../../../infra/avro/', import.meta.url);

/** Frozen copies of what was released, by release and file. */
const released = readdirSync(RELEASED).flatMap((release) =>
  readdirSync(new URL(`${release}/`, RELEASED)).map((file) => ({ release, file })),
);
const avscFiles = readdirSync(OWN).filter((file) => file.endsWith('.avsc'));

const fieldSchema = z.object({ name: z.string(), doc: z.string().min(1), type: z.unknown() });
const recordSchema = z.object({ doc: z.string().min(1), name: z.string(), fields: z.array(fieldSchema) });

describe('our schemas', () => {
  it('are all to be had by name', () => {
    expect(ownSchemaNames.map((name) => loadAvroSchema(name).type.name)).toEqual(ownSchemaNames);
    expect(avscFiles).toHaveLength(ownSchemaNames.length);
  });

  it.each(ownSchemaNames)('%s says what it and each field is', (name) => {
    const records = recordsIn(JSON.parse(loadAvroSchema(name).json));
    expect(records.length).toBeGreaterThan(0);
    for (const record of records) expect(() => recordSchema.parse(record)).not.toThrow();
  });

  it.each(ownValues)('$schema holds all of what Millrace has, as Apache Avro writes it', ({ schema, value, hex }) => {
    const own = loadAvroSchema(schema);
    expect(own.type.isValid(value, { noUndeclaredFields: true })).toBe(true);
    const format = avroFormat({ topic: 't', field: null, schema: own, registry: null });
    expect(format.write({ ...value })).toEqual(Buffer.from(hex, 'hex'));
    expect(JSON.parse(JSON.stringify(format.read(Buffer.from(hex, 'hex'))))).toEqual(value);
  });

  it('are all frozen in the newest release', () => {
    const newest = released.at(-1)?.release;
    expect(released.filter(({ release }) => release === newest).map(({ file }) => file)).toEqual(avscFiles);
  });

  it.each(released)('$file reads what release $release wrote, and is read by it (FULL)', ({ release, file }) => {
    const then = schemaAt(new URL(`${release}/${file}`, RELEASED));
    const now = schemaAt(new URL(file, OWN));
    expect(canRead({ reader: now, writer: then })).toBe(true);
    expect(canRead({ reader: then, writer: now })).toBe(true);
  });
});

describe('compatibility', () => {
  const before = { type: 'record', name: 'a.R', fields: [{ name: 'text', type: 'string' }] };
  const optional = { name: 'source', type: ['null', 'string'], default: null };

  it.each([
    ['a field with a default is added', [...before.fields, optional], { backward: true, forward: true }],
    [
      'a field without a default is added',
      [...before.fields, { name: 'n', type: 'int' }],
      { backward: false, forward: true },
    ],
    ['a field without a default is removed', [], { backward: true, forward: false }],
    ['a type is widened', [{ name: 'text', type: ['null', 'string'] }], { backward: true, forward: false }],
    ['a type is another', [{ name: 'text', type: 'int' }], { backward: false, forward: false }],
    ['a field is renamed', [{ name: 'body', type: 'string' }], { backward: false, forward: false }],
    [
      'a field is renamed with an alias',
      [{ name: 'body', aliases: ['text'], type: 'string' }],
      { backward: true, forward: false },
    ],
  ])('is seen when %s', (_what, fields, { backward, forward }) => {
    const after = { ...before, fields };
    expect(canRead({ reader: after, writer: before })).toBe(backward);
    expect(canRead({ reader: before, writer: after })).toBe(forward);
  });
});

function schemaAt(url: URL): object {
  return z.looseObject({}).parse(JSON.parse(readFileSync(url, 'utf8')));
}

/** A record, and those inside it. */
function recordsIn(schema: unknown): unknown[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const inner = Object.values(schema).flatMap((each) => recordsIn(each));
  return 'type' in schema && schema.type === 'record' ? [schema, ...inner] : inner;
}
