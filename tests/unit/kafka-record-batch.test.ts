import * as fc from 'fast-check';
import encodeRecord from 'kafkajs/src/protocol/recordBatch/record/v0/index.js';
import { RecordBatch } from 'kafkajs/src/protocol/recordBatch/v0/index.js';
import { describe, expect, it } from 'vitest';
import { readRecordBatches } from '../../infra/kafka/record-batch.ts';

const NONE = 0;
const GZIP = 1;
const CONTROL = 0x20;
const ATTRIBUTES_AT = 22;

interface NewRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

interface BatchOptions {
  readonly compression?: number;
  readonly producerId?: number;
  /** How far the batch reaches beyond its last record. */
  readonly hole?: number;
}

const text = fc.option(fc.string({ maxLength: 300, unit: 'binary' }).map((value) => Buffer.from(value)));
const records: fc.Arbitrary<NewRecord[]> = fc.array(
  fc.record({
    key: text,
    value: text,
    headers: fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { maxKeys: 3 }),
    timestampMs: fc.integer({ min: 0, max: 4e12 }),
  }),
  { minLength: 1, maxLength: 20 },
);

/** As kafkajs would send it. */
async function batch(firstOffset: number, all: readonly NewRecord[], options: BatchOptions = {}): Promise<Buffer> {
  const { compression = NONE, producerId = -1, hole = 0 } = options;
  const times = all.map(({ timestampMs }) => timestampMs);
  const firstTimestamp = times[0] ?? 0;
  const encoded = await RecordBatch({
    compression,
    firstOffset,
    firstTimestamp,
    maxTimestamp: Math.max(...times),
    lastOffsetDelta: all.length - 1 + hole,
    transactional: producerId >= 0,
    producerId,
    records: all.map(({ timestampMs, ...record }, offsetDelta) =>
      encodeRecord({ ...record, offsetDelta, timestampDelta: timestampMs - firstTimestamp }),
    ),
  });
  return encoded.buffer;
}

function record(value: string): NewRecord {
  return { key: null, value: Buffer.from(value), headers: {}, timestampMs: 1 };
}

/** The marker with which a transaction ends. */
async function marker(offset: number, producerId: number, kind: 'abort' | 'commit'): Promise<Buffer> {
  const key = Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1]);
  const bytes = await batch(offset, [{ ...record('end'), key }], { producerId });
  bytes.writeInt8((bytes[ATTRIBUTES_AT] ?? 0) | CONTROL, ATTRIBUTES_AT);
  return bytes;
}

function from(offset: number): { readonly topic: string; readonly partition: number; readonly offset: number } {
  return { topic: 'text', partition: 3, offset };
}

async function valuesOf(...read: Parameters<typeof readRecordBatches>): Promise<readonly string[]> {
  return (await readRecordBatches(...read)).records.map(({ value }) => String(value));
}

describe('record batches', () => {
  it.each([
    ['plain', NONE],
    ['compressed', GZIP],
  ])('are read as kafkajs wrote them, %s', async (_, compression) => {
    await fc.assert(
      fc.asyncProperty(records, fc.integer({ min: 0, max: 2 ** 45 }), async (all, first) => {
        const read = await readRecordBatches(from(first), await batch(first, all, { compression }), []);
        expect(read.next).toBe(first + all.length);
        const where = { topic: 'text', partition: 3 };
        expect(read.records).toEqual(all.map((each, at) => ({ ...where, ...each, offset: first + at })));
      }),
    );
  });

  it('are read from the wanted offset on, and to the end of holes', async () => {
    const bytes = await batch(3, ['3', '4', '5'].map(record), { hole: 4 });
    expect(await valuesOf(from(5), bytes, [])).toEqual(['5']);
    expect((await readRecordBatches(from(5), bytes, [])).next).toBe(10);
  });

  it('that are cut off are left for the next time', async () => {
    const [first, second] = [await batch(0, [record('a')]), await batch(1, [record('b')])];
    for (let length = first.length; length < first.length + second.length; length += 1) {
      const read = await readRecordBatches(from(0), Buffer.concat([first, second]).subarray(0, length), []);
      expect([read.records.length, read.next]).toEqual([1, 1]);
    }
  });

  it('leave out markers and aborted transactions, and nothing else of the same producer', async () => {
    const bytes = Buffer.concat([
      await batch(0, [record('committed')], { producerId: 7 }),
      await marker(1, 7, 'commit'),
      await batch(2, [record('aborted')], { producerId: 7 }),
      await batch(3, [record('of another')], { producerId: 8 }),
      await batch(4, [record('plain')]),
      await marker(5, 7, 'abort'),
      await batch(6, [record('committed too')], { producerId: 7 }),
      await marker(7, 7, 'commit'),
      await marker(8, 8, 'commit'),
    ]);
    const aborted = [{ producerId: 7, firstOffset: 2 }];
    expect(await valuesOf(from(0), bytes, aborted)).toEqual(['committed', 'of another', 'plain', 'committed too']);
    expect((await readRecordBatches(from(0), bytes, aborted)).next).toBe(9);
  });

  it('that are none are told from those that are', async () => {
    const damaged = await batch(5, [record('a'), record('b')]);
    damaged.writeInt32BE(1, 57);
    await expect(readRecordBatches(from(5), damaged, [])).rejects.toMatchObject({ code: 'log-failed' });
    const ancient = await batch(5, [record('a')]);
    ancient.writeInt8(1, 16);
    await expect(readRecordBatches(from(5), ancient, [])).rejects.toMatchObject({
      code: 'log-failed',
      message: expect.stringMatching(/text\/3 .* format 1/),
    });
  });
});
