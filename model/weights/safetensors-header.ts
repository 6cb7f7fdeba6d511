import { z } from 'zod';

/** Bytes per element of the types that can be read; the first four can be written too. */
const elementBytes = { F32: 4, I32: 4, I64: 8, U8: 1, F16: 2, BF16: 2 } as const;

export type StoredType = keyof typeof elementBytes;

/** Where one tensor stands: `[begin, end)` counts bytes from the end of the header. */
export interface Place {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes. */
  readonly places: readonly Place[];
}

/** The format's own limit: a longer header is an attack or an accident. */
export const maxHeaderBytes = 100_000_000;

const metadataKey = '__metadata__';
const metadataSchema = z.record(z.string(), z.string());
const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const entrySchema = z.strictObject({
  dtype: z.enum(['F32', 'I32', 'I64', 'U8', 'F16', 'BF16']),
  shape: z.array(count),
  data_offsets: z.tuple([count, count]),
});

/** Gives every tensor its place: wider elements first, so that all are aligned, then by name. */
export function layOut<T extends { readonly dtype: StoredType; readonly shape: readonly number[] }>(
  tensors: ReadonlyMap<string, T>,
): readonly (Place & { readonly tensor: T })[] {
  const inOrder = [...tensors].toSorted(
    ([aName, a], [bName, b]) => elementBytes[b.dtype] - elementBytes[a.dtype] || (aName < bName ? -1 : 1),
  );
  let end = 0;
  return inOrder.map(([name, tensor]) => {
    const begin = end;
    end += byteLength(tensor.dtype, tensor.shape);
    return { name, dtype: tensor.dtype, shape: tensor.shape, begin, end, tensor };
  });
}

/** Length prefix and JSON, filled up with spaces so that the tensors start at a multiple of 8 bytes. */
export function encodeHeader({ metadata, places }: Header): Uint8Array {
  const keys = Object.keys(metadata).toSorted();
  const fields = places.map(({ name, dtype, shape, begin, end }) =>
    field(name, { dtype, shape, data_offsets: [begin, end] }),
  );
  if (keys.length > 0) fields.unshift(`"${metadataKey}":{${keys.map((key) => field(key, metadata[key])).join()}}`);
  const json = Buffer.from(`{${fields.join()}}`);
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  return header;
}

/** Checks a header against the number of bytes that follow it. Throws an error that says what is wrong. */
export function decodeHeader(json: Uint8Array, dataBytes: number): Header {
  const root: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json));
  if (typeof root !== 'object' || root === null || Array.isArray(root)) throw new Error('the header is no JSON object');
  let metadata: Header['metadata'] = {};
  const places: Place[] = [];
  for (const [name, value] of Object.entries(root)) {
    if (name === metadataKey) metadata = parse(metadataSchema, value, metadataKey);
    else places.push(decodePlace(name, value));
  }
  places.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of places) {
    if (begin !== covered) throw new Error(`bytes of "${name}" start at ${begin}, but ${covered} was expected`);
    covered = end;
  }
  if (covered !== dataBytes) throw new Error(`the tensors need ${covered} bytes, but the file holds ${dataBytes}`);
  return { metadata, places };
}

function decodePlace(name: string, value: unknown): Place {
  const {
    dtype,
    shape,
    data_offsets: [begin, end],
  } = parse(entrySchema, value, name);
  if (end - begin !== byteLength(dtype, shape)) {
    throw new Error(`"${name}" has ${end - begin} bytes, which does not fit ${dtype} [${shape.join(', ')}]`);
  }
  return { name, dtype, shape, begin, end };
}

function byteLength(dtype: StoredType, shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, elementBytes[dtype]);
}

function parse<T>(schema: z.ZodType<T>, value: unknown, name: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(`the entry "${name}" is not as the format wants it: ${z.prettifyError(parsed.error)}`);
}

function field(key: string, value: unknown): string {
  return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
}
