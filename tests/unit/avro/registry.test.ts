import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SchemaRegistry } from '../../../infra/index.ts';
import { FakeSchemaRegistry } from '../../support/schema-registry.ts';

const SECRET = 'c0rrect-h0rse';
let fake: FakeSchemaRegistry;
let url: string;

beforeEach(async () => {
  fake = new FakeSchemaRegistry();
  url = await fake.listen();
  fake.add('s', '"string"');
});
afterEach(() => fake.close());

describe('the client of a schema registry', () => {
  it('asks again while there are faults that pass', async () => {
    fake.faults = 2;
    expect(await new SchemaRegistry({ url }).schema(1)).toEqual({
      schema: '"string"',
      schemaType: 'AVRO',
      references: [],
    });
    expect(fake.asked).toHaveLength(3);
  });

  it('gives up in the end, saying what was wrong', async () => {
    fake.faults = Infinity;
    await expect(new SchemaRegistry({ url, patienceMs: 250 }).schema(1)).rejects.toMatchObject({
      code: 'registry-unreachable',
      message: expect.stringContaining('it answers 503'),
    });
    expect(fake.asked).not.toEqual([]);
    await fake.close();
    await expect(new SchemaRegistry({ url, patienceMs: 0 }).schema(1)).rejects.toMatchObject({
      code: 'registry-unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('does not wait for ever for an answer', async () => {
    fake.isSilent = true;
    await expect(new SchemaRegistry({ url, patienceMs: 0 }).schema(1)).rejects.toMatchObject({
      code: 'registry-unreachable',
      message: expect.stringContaining('has not answered for 5 s'),
    });
  });

  it.each([
    [{ username: 'me', password: SECRET }, `Basic ${Buffer.from(`me:${SECRET}`).toString('base64')}`],
    [{ token: SECRET }, `Bearer ${SECRET}`],
  ])(
    'shows its credentials (case %#), and says when they are not taken, without showing them',
    async (auth, header) => {
      fake.authorization = header;
      const registry = new SchemaRegistry({ url: `${url}//`, auth });
      expect((await registry.schema(1)).schema).toBe('"string"');
      fake.authorization = 'another';
      const error: unknown = await registry.schema(1).catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        code: 'registry-refused',
        message: expect.stringContaining('Check the credentials'),
      });
      expect(inspect([error, registry], { depth: 9 })).not.toContain(SECRET);
      expect(fake.asked).toHaveLength(2);
    },
  );

  it('says when something else answers there', async () => {
    const elsewhere = new SchemaRegistry({ url: `${url}/path` });
    await expect(elsewhere.schema(1)).rejects.toMatchObject({ code: 'registry-refused' });
    fake.add('s', '"int"', { schemaType: '' });
    await expect(new SchemaRegistry({ url }).idOf('s', 'x')).resolves.toBe(3);
  });

  it('tells what it does not have from what is refused', async () => {
    const registry = new SchemaRegistry({ url });
    await expect(registry.schema(9)).rejects.toMatchObject({ code: 'schema-unknown' });
    await expect(registry.version('s', 7)).rejects.toMatchObject({ code: 'schema-unknown' });
    fake.isClosed = true;
    await expect(registry.idOf('s', '"int"')).rejects.toMatchObject({ code: 'registry-refused' });
  });
});
