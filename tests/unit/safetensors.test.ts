import * as fc from 'fast-check';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ModelError } from '../../model/errors.ts';
import { streamSafetensors } from '../../model/weights/safetensors-stream.ts';
import type { LaterTensor } from '../../model/weights/safetensors-stream.ts';
import { readSafetensors, writeSafetensors } from '../../model/weights/safetensors.ts';
import type { TensorData } from '../../model/weights/safetensors.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-safetensors-'));
const path = join(folder, 'weights.safetensors');
afterAll(() => rmSync(folder, { recursive: true }));

const shapes = fc.array(fc.nat(4), { maxLength: 3 });
const tensors: fc.Arbitrary<TensorData> = shapes.chain((shape) => {
  const elements = shape.reduce((product, size) => product * size, 1);
  const ofLength = { minLength: elements, maxLength: elements };
  return fc.oneof(
    fc.float32Array(ofLength).map((data): TensorData => ({ dtype: 'F32', shape, data })),
    fc.int32Array(ofLength).map((data): TensorData => ({ dtype: 'I32', shape, data })),
    fc.bigInt64Array(ofLength).map((data): TensorData => ({ dtype: 'I64', shape, data })),
    fc.uint8Array(ofLength).map((data): TensorData => ({ dtype: 'U8', shape, data })),
  );
});
const names = fc.string({ unit: 'grapheme' }).filter((name) => name !== '__metadata__');
const files = fc.record({
  tensors: fc.array(fc.tuple(names, tensors)).map((entries) => new Map(entries)),
  metadata: fc.dictionary(fc.string(), fc.string()).filter((metadata) => !Object.hasOwn(metadata, '__proto__')),
});

test('reads back what was written, bit for bit', () => {
  fc.assert(
    fc.property(files, (file) => {
      writeSafetensors(path, file.tensors, file.metadata);
      const back = readSafetensors(path);
      expect(new Map(back.tensors)).toEqual(file.tensors);
      expect({ ...back.metadata }).toEqual({ ...file.metadata });
    }),
  );
});

test('gives the same bytes whatever the order of the tensors', () => {
  fc.assert(
    fc.property(files, (file) => {
      writeSafetensors(path, file.tensors, file.metadata);
      const bytes = readFileSync(path);
      writeSafetensors(path, new Map([...file.tensors].toReversed()), file.metadata);
      expect(readFileSync(path).equals(bytes)).toBe(true);
    }),
  );
});

test('gives the same bytes slice by slice, and asks for each tensor once, when its turn has come', async () => {
  const sizes = [1_500_000, 0, 3, 5_000_000, 1_500_000, 2_500_000, 1];
  const whole = sizes.map((size, at): [string, TensorData] => [
    `t${at}`,
    { dtype: 'F32', shape: [size], data: Float32Array.from({ length: size }, (_, i) => i * (at + 1)) },
  ]);
  const taken: number[] = [];
  let turns = 0;
  const counting = setInterval(() => (turns += 1), 0);
  const later = whole.map(([name, { shape, data }]): [string, LaterTensor] => {
    const take = (): Float32Array => {
      taken.push(turns);
      if (data instanceof Float32Array) return data;
      throw new TypeError('not of the type that was made');
    };
    return [name, { dtype: 'F32', shape, take }];
  });
  await streamSafetensors(path, new Map(later), { by: 'test' });
  clearInterval(counting);
  const streamed = readFileSync(path);
  writeSafetensors(path, new Map(whole), { by: 'test' });
  expect(readFileSync(path).equals(streamed)).toBe(true);
  expect(taken).toHaveLength(sizes.length);
  expect(new Set(taken).size).toBeGreaterThan(1);
});

test('writes a view into a larger buffer without its surroundings', () => {
  const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
  writeSafetensors(path, new Map([['part', { dtype: 'F32', shape: [2], data }]]));
  expect(readSafetensors(path).tensors.get('part')?.data).toEqual(Float32Array.of(2, 3));
});

test('starts the tensors at a multiple of 8 bytes, wider elements first', () => {
  writeSafetensors(
    path,
    new Map<string, TensorData>([
      ['a', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ['b', { dtype: 'F32', shape: [1], data: Float32Array.of(0.5) }],
    ]),
    { format: 'pt' },
  );
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE());
  expect(headerBytes % 8).toBe(0);
  expect(JSON.parse(bytes.subarray(8, 8 + headerBytes).toString())).toEqual({
    __metadata__: { format: 'pt' },
    b: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
    a: { dtype: 'U8', shape: [3], data_offsets: [4, 7] },
  });
});

test('widens half precision to F32', () => {
  const half = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x8000);
  writeRaw({ h: { dtype: 'F16', shape: [8], data_offsets: [0, 16] } }, Buffer.from(half.buffer));
  expect(readSafetensors(path).tensors.get('h')).toEqual({
    dtype: 'F32',
    shape: [8],
    data: Float32Array.of(1, -2, 2 ** -24, 65504, Infinity, -Infinity, NaN, -0),
  });
  const bfloat = Uint16Array.of(0x3f80, 0xc000, 0x7f80, 0x0001);
  writeRaw({ b: { dtype: 'BF16', shape: [2, 2], data_offsets: [0, 8] } }, Buffer.from(bfloat.buffer));
  expect(readSafetensors(path).tensors.get('b')).toEqual({
    dtype: 'F32',
    shape: [2, 2],
    data: Float32Array.of(1, -2, Infinity, 2 ** -133),
  });
});

test('refuses to write an array that does not fit its shape', () => {
  const wrong = new Map<string, TensorData>([['w', { dtype: 'F32', shape: [2, 2], data: new Float32Array(3) }]]);
  expect(() => writeSafetensors(path, wrong)).toThrow(expect.objectContaining({ code: 'shape-mismatch' }));
});

const four = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
const eight = Buffer.alloc(8);
test.each<[string, () => void]>([
  ['an empty file', () => writeFileSync(path, '')],
  ['a header longer than the file', () => writeFileSync(path, lengthPrefixed('{}', 100))],
  ['a header length beyond all integers', () => writeFileSync(path, Buffer.alloc(16, 0xff))],
  ['a header that is no JSON', () => writeFileSync(path, lengthPrefixed('{"a":'))],
  ['a header that is not UTF-8', () => writeFileSync(path, lengthPrefixed(Buffer.from([0x7b, 0xff, 0x7d])))],
  ['a header that is a list', () => writeFileSync(path, lengthPrefixed('[]'))],
  ['metadata that is no text', () => writeRaw({ __metadata__: { step: 1 } }, Buffer.alloc(0))],
  ['an unknown element type', () => writeRaw({ w: { ...four, dtype: 'F8' } }, Buffer.alloc(4))],
  ['a negative size', () => writeRaw({ w: { ...four, shape: [-1] } }, Buffer.alloc(4))],
  ['an unknown field', () => writeRaw({ w: { ...four, stride: 1 } }, Buffer.alloc(4))],
  ['a byte length that does not fit the shape', () => writeRaw({ w: { ...four, data_offsets: [0, 8] } }, eight)],
  ['offsets that run backwards', () => writeRaw({ w: { ...four, data_offsets: [4, 0] } }, eight)],
  ['tensors that overlap', () => writeRaw({ a: four, b: { ...four, data_offsets: [2, 6] } }, Buffer.alloc(6))],
  ['a gap between tensors', () => writeRaw({ a: four, b: { ...four, data_offsets: [8, 12] } }, Buffer.alloc(12))],
  ['bytes that belong to no tensor', () => writeRaw({ a: four }, eight)],
  ['a file cut short', () => writeRaw({ a: four }, Buffer.alloc(3))],
  ['a file that is not there', () => rmSync(path)],
])('reports weights-corrupt for %s', (_, prepare) => {
  prepare();
  expect(() => readSafetensors(path)).toThrow(expect.objectContaining({ code: 'weights-corrupt' }));
});

test('reports weights-corrupt wherever a file is cut', () => {
  const whole = writeOne();
  for (let length = 0; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    expect(() => readSafetensors(path)).toThrow(expect.objectContaining({ code: 'weights-corrupt' }));
  }
});

test('takes a file with a damaged byte or reports weights-corrupt, nothing else', () => {
  const whole = writeOne();
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
      const damaged = Buffer.from(whole);
      damaged[at] = byte;
      writeFileSync(path, damaged);
      expect(outcomeOfReading()).toMatch(/^(read|weights-corrupt)$/);
    }),
  );
});

function writeOne(): Buffer {
  writeSafetensors(path, new Map([['w', { dtype: 'F32', shape: [3], data: Float32Array.of(1, 2, 3) }]]), { a: 'b' });
  return readFileSync(path);
}

function outcomeOfReading(): string {
  try {
    readSafetensors(path);
    return 'read';
  } catch (error) {
    return error instanceof ModelError ? error.code : String(error);
  }
}

function lengthPrefixed(header: string | Buffer, length: number = header.length): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length));
  return Buffer.concat([prefix, Buffer.from(header)]);
}

function writeRaw(header: object, data: Uint8Array): void {
  writeFileSync(path, Buffer.concat([lengthPrefixed(JSON.stringify(header)), data]));
}
