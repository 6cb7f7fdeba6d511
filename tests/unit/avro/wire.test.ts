import { expect, test } from 'vitest';
import { frame, unframe } from '../../../infra/avro/wire.ts';

test.each([
  [1, '', '0000000001'],
  [0x01020304, '06666f6f', '000102030406666f6f'],
  [0xffffffff, '00', '00ffffffff00'],
])('schema %i and body %j are %s on the wire', (schemaId, body, hex) => {
  expect(frame(schemaId, Buffer.from(body, 'hex')).toString('hex')).toBe(hex);
  const { schemaId: found, body: rest } = unframe(new Uint8Array(Buffer.from(hex, 'hex')));
  expect([found, rest.toString('hex')]).toEqual([schemaId, body]);
});

test.each(['', '00', '00000000', '0100000001', '7b2261223a317d'])('%j is none', (hex) => {
  const value = Buffer.from(hex, 'hex');
  expect(() => unframe(value)).toThrow(expect.objectContaining({ code: 'record-not-avro' }));
  expect(() => unframe(value)).toThrow(`begins with ${hex.slice(0, 10)}, not with 00`);
});
