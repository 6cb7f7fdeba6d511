import { crc32c } from './crc32c.ts';

/** One number of a series, such as the loss of a step. */
export interface Scalar {
  readonly tag: string;
  readonly value: number;
}

/** Numbers that belong together: of one step, at one time. */
export interface ScalarEvent {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly step: number;
  readonly scalars: readonly Scalar[];
}

/** The first record of each file. */
export function encodeVersion(atMs: number): Uint8Array {
  return framed(Buffer.concat([wallTime(atMs), lengthDelimited(3, Buffer.from('brain.Event:2'))]));
}

/** An event as a record of TensorBoard's files: protobuf of tensorflow.Event, in the frame of a TFRecord. */
export function encodeEvent({ atMs, step, scalars }: ScalarEvent): Uint8Array {
  const values = scalars.map(({ tag, value }) =>
    lengthDelimited(1, Buffer.concat([lengthDelimited(1, Buffer.from(tag)), float(2, value)])),
  );
  const fields = [wallTime(atMs), key(2, 0), varint(step), lengthDelimited(5, Buffer.concat(values))];
  return framed(Buffer.concat(fields));
}

/** Length and data, each with its masked checksum. */
function framed(data: Uint8Array): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, checksum(length), data, checksum(data)]);
}

/** Masked, since a checksum over data that holds checksums of itself is weak. */
function checksum(bytes: Uint8Array): Buffer {
  const crc = crc32c(bytes);
  const masked = Buffer.alloc(4);
  masked.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0);
  return masked;
}

/** Field 1 is a double: seconds since the epoch. */
function wallTime(atMs: number): Buffer {
  const bytes = Buffer.alloc(9, key(1, 1));
  bytes.writeDoubleLE(atMs / 1000, 1);
  return bytes;
}

function float(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(5, key(field, 5));
  bytes.writeFloatLE(value, 1);
  return bytes;
}

function lengthDelimited(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([key(field, 2), varint(bytes.length), bytes]);
}

/** All field numbers here are small enough for one byte. */
function key(field: number, wireType: number): Buffer {
  return Buffer.of((field << 3) | wireType);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}
