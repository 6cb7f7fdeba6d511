import { MillraceError } from '../../operators/errors.ts';

/** Confluent's wire format: a zero byte, the id of the writer's schema in four bytes (big-endian), then the Avro body. */

const MAGIC = 0;
const HEADER_BYTES = 5;

export interface Framed {
  readonly schemaId: number;
  readonly body: Buffer;
}

export function frame(schemaId: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(schemaId, 1);
  return Buffer.concat([header, body]);
}

/** Throws `record-not-avro` for what has no such header. The body is a view of the value. */
export function unframe(value: Uint8Array): Framed {
  const bytes = asBuffer(value);
  if (bytes.length >= HEADER_BYTES && bytes[0] === MAGIC) {
    return { schemaId: bytes.readUInt32BE(1), body: bytes.subarray(HEADER_BYTES) };
  }
  const begin = bytes.subarray(0, HEADER_BYTES).toString('hex');
  throw new MillraceError(
    'record-not-avro',
    `The value begins with ${begin}, not with 00 and the four bytes of a schema's id, as serializers for a schema registry ` +
      'write it.',
  );
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
