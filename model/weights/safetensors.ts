import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { ModelError } from '../errors.ts';
import { decodeHeader, encodeHeader, layOut, maxHeaderBytes } from './safetensors-header.ts';
import type { Header, Place } from './safetensors-header.ts';

/**
 * Tensors as typed arrays, with the format's names of element types. Half-precision tensors exist in files only:
 * reading widens F16 and BF16 to F32, which is exact.
 */
export type TensorData =
  | { readonly dtype: 'F32'; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: 'I32'; readonly shape: readonly number[]; readonly data: Int32Array }
  | { readonly dtype: 'I64'; readonly shape: readonly number[]; readonly data: BigInt64Array }
  | { readonly dtype: 'U8'; readonly shape: readonly number[]; readonly data: Uint8Array };

export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, TensorData>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** `readSync` and `writeSync` refuse more than 2 GiB at once. */
const maxBytesAtOnce = 1 << 30;

/**
 * Writes tensors as one safetensors file. The same tensors and metadata always give the same bytes. The arrays are
 * written as they stand, without a second copy in memory, and the file has reached the disk on return.
 * Throws `shape-mismatch` when an array is not as long as its shape says; errors of the disk are thrown unchanged.
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  for (const [name, { shape, data }] of tensors) {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (elements === data.length) continue;
    const message = `Tensor "${name}" has ${data.length} elements, but its shape [${shape.join(', ')}] has ${elements}.`;
    throw new ModelError('shape-mismatch', message);
  }
  const places = layOut(tensors);
  const file = openSync(path, 'w');
  try {
    writeAll(file, encodeHeader({ metadata, places }));
    for (const { tensor } of places) writeAll(file, bytesOf(tensor.data));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A file whose tensors are read when they are asked for. */
export interface OpenSafetensors {
  readonly metadata: Readonly<Record<string, string>>;
  readonly places: ReadonlyMap<string, Place>;
  /** One tensor, in an array of its own. Throws `weights-mismatch` where there is none of that name. */
  read(name: string): TensorData;
  close(): void;
}

/**
 * Reads all tensors of a file, each into an array of its own. Throws `weights-corrupt` for whatever is not a complete
 * and consistent safetensors file of known element types, and for a file that cannot be read.
 */
export function readSafetensors(path: string): SafetensorsFile {
  const file = openSafetensors(path);
  try {
    const tensors = new Map([...file.places.keys()].map((name) => [name, file.read(name)]));
    return { tensors, metadata: file.metadata };
  } finally {
    file.close();
  }
}

/** Opens a file to read its tensors one by one. Throws `weights-corrupt` as `readSafetensors` does, here or when reading. */
export function openSafetensors(path: string): OpenSafetensors {
  const file = unlessCorrupt(path, () => openSync(path, 'r'));
  try {
    const { header, dataStart } = unlessCorrupt(path, () => readHeader(file));
    const places = new Map(header.places.map((place) => [place.name, place]));
    return {
      metadata: header.metadata,
      places,
      read(name) {
        const place = places.get(name);
        if (!place) throw new ModelError('weights-mismatch', `There is no tensor "${name}" in ${path}.`);
        return unlessCorrupt(path, () =>
          decodeTensor(place, read(file, dataStart + place.begin, place.end - place.begin)),
        );
      },
      close: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function unlessCorrupt<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ModelError('weights-corrupt', `Cannot read the weights in ${path}: ${why}. Use another copy.`, { cause });
  }
}

function readHeader(file: number): { readonly header: Header; readonly dataStart: number } {
  const fileBytes = fstatSync(file).size;
  if (fileBytes < 8) throw new Error(`the file has only ${fileBytes} bytes`);
  const headerBytes = new DataView(read(file, 0, 8)).getBigUint64(0, true);
  if (headerBytes > Math.min(fileBytes - 8, maxHeaderBytes)) {
    throw new Error(`a header of ${headerBytes} bytes is too long for a file of ${fileBytes}`);
  }
  const dataStart = 8 + Number(headerBytes);
  const header = decodeHeader(new Uint8Array(read(file, 8, Number(headerBytes))), fileBytes - dataStart);
  return { header, dataStart };
}

function decodeTensor({ dtype, shape }: Place, bytes: ArrayBuffer): TensorData {
  switch (dtype) {
    case 'F32':
      return { dtype, shape, data: new Float32Array(bytes) };
    case 'I32':
      return { dtype, shape, data: new Int32Array(bytes) };
    case 'I64':
      return { dtype, shape, data: new BigInt64Array(bytes) };
    case 'U8':
      return { dtype, shape, data: new Uint8Array(bytes) };
    case 'F16':
      return { dtype: 'F32', shape, data: widenHalves(new Uint16Array(bytes)) };
    case 'BF16':
      return { dtype: 'F32', shape, data: widenBfloats(new Uint16Array(bytes)) };
  }
}

/** An IEEE half has 1 sign, 5 exponent and 10 fraction bits. */
function widenHalves(halves: Uint16Array): Float32Array {
  const widened = new Float32Array(halves.length);
  halves.forEach((half, i) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 0x1f;
    const fraction = (half & 0x3ff) / 1024;
    if (exponent === 0) widened[i] = sign * fraction * 2 ** -14;
    else if (exponent === 0x1f) widened[i] = fraction === 0 ? sign * Infinity : NaN;
    else widened[i] = sign * (1 + fraction) * 2 ** (exponent - 15);
  });
  return widened;
}

/** A bfloat is the upper half of a float. */
function widenBfloats(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  halves.forEach((half, i) => {
    bits[i] = half << 16;
  });
  return new Float32Array(bits.buffer);
}

function read(file: number, from: number, bytes: number): ArrayBuffer {
  const into = new Uint8Array(bytes);
  for (let done = 0; done < bytes;) {
    const got = readSync(file, into, done, Math.min(bytes - done, maxBytesAtOnce), from + done);
    if (got === 0) throw new Error('the file ends early');
    done += got;
  }
  return into.buffer;
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, Math.min(bytes.length - done, maxBytesAtOnce));
  }
}

function bytesOf(data: TensorData['data']): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
