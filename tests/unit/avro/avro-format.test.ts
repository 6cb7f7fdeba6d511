import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { avroFormat, loadAvroSchema, SchemaRegistry } from '../../../infra/index.ts';
import { parseAvroSchema } from '../../../infra/avro/avro-schema.ts';
import { textIn } from '../../../operators/formats.ts';
import type { TopicFormat } from '../../../operators/formats.ts';
import { FakeSchemaRegistry } from '../../support/schema-registry.ts';

/** The record of the Avro specification's section on binary encoding: a 27, b foo. */
const SPEC = {
  type: 'record',
  name: 'test',
  fields: [
    { name: 'a', type: 'long' },
    { name: 'b', type: 'string' },
  ],
};
const SPEC_BODY = '3606666f6f';

const fake = new FakeSchemaRegistry();
let url: string;

beforeEach(async () => {
  fake.versions.length = 0;
  fake.asked.length = 0;
  fake.isClosed = false;
  url = await fake.listen();
});
afterEach(() => fake.close());

function topic(schema: string | object | null, registry = new SchemaRegistry({ url })): TopicFormat {
  const parsed =
    typeof schema === 'string' ? loadAvroSchema(schema) : schema && parseAvroSchema(JSON.stringify(schema));
  return avroFormat({ topic: 'events', field: null, schema: parsed, registry });
}

async function read(format: TopicFormat, hex: string): Promise<unknown> {
  return JSON.parse(JSON.stringify(await format.read(Buffer.from(hex, 'hex'))));
}

describe('with a registry', () => {
  it('reads by the schema that each value names, and asks for it once', async () => {
    const id = fake.add('events-value', SPEC);
    const format = topic(null);
    expect(id).toBe(1);
    expect(await read(format, `0000000001${SPEC_BODY}`)).toEqual({ a: 27, b: 'foo' });
    expect(format.read(Buffer.from(`0000000001${SPEC_BODY}`, 'hex'))).not.toBeInstanceOf(Promise);
    expect(fake.asked).toEqual(['GET /schemas/ids/1']);
  });

  it('asks once for what many want at the same time', async () => {
    fake.add('events-value', SPEC);
    const format = topic(null);
    await Promise.all(Array.from({ length: 5 }, () => read(format, `0000000001${SPEC_BODY}`)));
    expect(fake.asked).toHaveLength(1);
  });

  it("resolves a writer's schema to the topic's: defaults, aliases, wider types", async () => {
    fake.add('events-value', SPEC);
    const format = topic({
      type: 'record',
      name: 'test',
      fields: [
        { name: 'text', aliases: ['b'], type: ['null', 'string'], default: null },
        { name: 'a', type: 'double' },
        { name: 'more', type: 'int', default: 5 },
      ],
    });
    expect(await read(format, `0000000001${SPEC_BODY}`)).toEqual({ text: 'foo', a: 27, more: 5 });
  });

  it('writes under the id that its schema has in the registry, which it asks for once', async () => {
    fake.add('other', SPEC);
    const format = topic('millrace.Document');
    const written = Buffer.from(await format.write({ text: 'foo', unknown: 1 }));
    expect(written.toString('hex')).toBe('000000000206666f6f00');
    await format.write({ text: 'bar' });
    expect(fake.asked).toEqual(['POST /subjects/events-value/versions']);
    expect(await read(topic(null), '000000000206666f6f00')).toEqual({ text: 'foo', source: null });
  });

  it('only looks its schema up where that is wanted', async () => {
    const registry = new SchemaRegistry({ url, register: false });
    await expect(topic('millrace.Document', registry).write({ text: 'a' })).rejects.toMatchObject({
      code: 'schema-unknown',
      message: expect.stringContaining("Subject 'events-value' not found"),
    });
    const id = fake.add('events-value', loadAvroSchema('millrace.Document').json);
    const written = await topic('millrace.Document', registry).write({ text: 'a' });
    expect(Buffer.from(written).readUInt32BE(1)).toBe(id);
    expect(fake.versions).toHaveLength(1);
  });

  it('says when the registry finds its schema incompatible, and asks again the next time', async () => {
    fake.add('events-value', SPEC);
    fake.isClosed = true;
    const format = topic('millrace.Document');
    await expect(format.write({ text: 'a' })).rejects.toMatchObject({
      code: 'registry-refused',
      message: expect.stringContaining('incompatible with an earlier schema'),
    });
    fake.isClosed = false;
    expect(Buffer.from(await format.write({ text: 'a' })).readUInt32BE(1)).toBe(2);
  });

  it('follows references between schemas', async () => {
    fake.add('inner', { type: 'record', name: 'x.Inner', fields: [{ name: 'text', type: 'string' }] });
    const references = [{ name: 'x.Inner', subject: 'inner', version: 1 }];
    const outer = { type: 'record', name: 'x.Outer', fields: [{ name: 'inner', type: 'x.Inner' }] };
    fake.add('events-value', outer, { references });
    expect(await read(topic(null), '000000000206666f6f')).toEqual({ inner: { text: 'foo' } });
  });

  it.each([
    ['what has no header', SPEC_BODY, 'record-not-avro'],
    ['a body that is too short', '000000000136', 'record-not-avro'],
    ['a body with something behind it', `0000000001${SPEC_BODY}00`, 'record-not-avro'],
    ['an id that nobody knows', `00000000ff${SPEC_BODY}`, 'schema-unknown'],
    ['a schema of another kind', '0000000002aa', 'record-not-avro'],
    ['a schema that is none', '0000000003aa', 'schema-mismatch'],
    ['a schema that the topic can not read', '000000000406', 'schema-mismatch'],
  ])('refuses %s as poison, again and again', async (_what, hex, code) => {
    fake.add('a', SPEC);
    fake.add('b', 'message A {}', { schemaType: 'PROTOBUF' });
    fake.add('c', { type: 'record', name: 'R', fields: [{ name: 'a', type: 'Nowhere' }] });
    fake.add('d', '"int"');
    const format = topic(SPEC);
    for (let times = 0; times < 2; times += 1) {
      await expect(read(format, hex)).rejects.toMatchObject({ code });
    }
    expect(fake.asked.length).toBeLessThan(2);
  });
});

describe('without a registry', () => {
  it('values are bare bodies', async () => {
    const format = avroFormat({
      topic: 't',
      field: null,
      schema: parseAvroSchema(JSON.stringify(SPEC)),
      registry: null,
    });
    expect(await read(format, SPEC_BODY)).toEqual({ a: 27, b: 'foo' });
    expect(Buffer.from(await format.write({ a: 27, b: 'foo' })).toString('hex')).toBe(SPEC_BODY);
    await expect(read(format, `${SPEC_BODY}00`)).rejects.toMatchObject({ code: 'record-not-avro' });
  });
});

it.each([
  [{ a: 1 }, 'no text'],
  [{ text: 1 }, 'a number'],
  ['text', 'no record'],
])('%j does not fit a document: %s', (value, _why) => {
  const format = avroFormat({ topic: 't', field: null, schema: loadAvroSchema('millrace.Document'), registry: null });
  expect(() => format.write(value)).toThrow(expect.objectContaining({ code: 'value-unfit' }));
});

it('says when a string is no UTF-8, which a reader of Avro does not', () => {
  const format = avroFormat({ topic: 't', field: null, schema: loadAvroSchema('millrace.Document'), registry: null });
  const textOf = (hex: string): string => {
    const value = Buffer.from(hex, 'hex');
    const content = format.read(value);
    return content instanceof Promise ? '' : textIn(content, format, value);
  };
  expect(textOf('06efbfbd00')).toBe('\uFFFD');
  expect(() => textOf('04c32800')).toThrow(expect.objectContaining({ code: 'record-not-utf8' }));
});

it('says which schema can not be had', () => {
  expect(() => loadAvroSchema('nowhere.avsc')).toThrow(expect.objectContaining({ code: 'config-invalid' }));
  expect(() => loadAvroSchema('nowhere.avsc')).toThrow(/nowhere\.avsc is no Avro schema.*millrace\.Document/);
});
