import { open } from 'node:fs/promises';

/*
 * GGUF version 3, little-endian: magic, counts, facts by name, where each tensor stands, then the tensors, each at a multiple
 * of the alignment. (docs/gguf.md of ggml)
 */

/** A fact of a GGUF file, in one of the types that readers want it in. */
export type GgufValue =
  | { readonly type: 'uint32' | 'int32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'int32s'; readonly value: readonly number[] };

export type GgufType = 'F32' | 'F16' | 'BF16';

export interface GgufTensor {
  readonly dtype: GgufType;
  /** As everywhere in Millrace, the innermost last; the file has it first. */
  readonly shape: readonly number[];
  /** Called once. Halves come as their bits. */
  readonly take: () => Float32Array | Uint16Array;
}

const VERSION = 3;
const ALIGNMENT = 32;
const VALUE_TYPES = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;
const TENSOR_TYPES = { F32: { id: 0, bytes: 4 }, F16: { id: 1, bytes: 2 }, BF16: { id: 30, bytes: 2 } } as const;

/** Writes a file, tensor by tensor in the order of the map; it has reached the disk when this resolves. */
export async function writeGguf(
  path: string,
  facts: ReadonlyMap<string, GgufValue>,
  tensors: ReadonlyMap<string, GgufTensor>,
): Promise<void> {
  const parts = [Buffer.from('GGUF'), uint32(VERSION), uint64(tensors.size), uint64(facts.size)];
  for (const [name, fact] of facts) parts.push(text(name), ...encodeValue(fact));
  let end = 0;
  for (const [name, { dtype, shape }] of tensors) {
    const { id, bytes } = TENSOR_TYPES[dtype];
    parts.push(text(name), uint32(shape.length), ...shape.toReversed().map(uint64), uint32(id), uint64(end));
    end = aligned(end + shape.reduce((product, size) => product * size, bytes));
  }
  const header = Buffer.concat(parts);
  const file = await open(path, 'w');
  try {
    await file.writeFile(padded(header));
    for (const { take } of tensors.values()) {
      const { buffer, byteOffset, byteLength } = take();
      await file.writeFile(new Uint8Array(buffer, byteOffset, byteLength));
      const rest = aligned(byteLength) - byteLength;
      if (rest > 0) await file.writeFile(Buffer.alloc(rest));
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

function encodeValue(fact: GgufValue): readonly Buffer[] {
  switch (fact.type) {
    case 'uint32':
      return [uint32(VALUE_TYPES.uint32), uint32(fact.value)];
    case 'int32':
      return [uint32(VALUE_TYPES.int32), int32s([fact.value])];
    case 'float32':
      return [uint32(VALUE_TYPES.float32), float32(fact.value)];
    case 'bool':
      return [uint32(VALUE_TYPES.bool), Buffer.of(fact.value ? 1 : 0)];
    case 'string':
      return [uint32(VALUE_TYPES.string), text(fact.value)];
    case 'strings':
      return [...arrayOf(VALUE_TYPES.string, fact.value.length), ...fact.value.map(text)];
    case 'int32s':
      return [...arrayOf(VALUE_TYPES.int32, fact.value.length), int32s(fact.value)];
  }
}

function arrayOf(type: number, length: number): readonly Buffer[] {
  return [uint32(VALUE_TYPES.array), uint32(type), uint64(length)];
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function int32s(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, at) => bytes.writeInt32LE(value, 4 * at));
  return bytes;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);
}
