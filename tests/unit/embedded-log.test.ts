import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord, isStorable, payloadBytes } from '../../infra/embedded-log/envelope.ts';
import { logFailure } from '../../infra/embedded-log/failure.ts';
import { murmur2, Partitioner } from '../../infra/partitioner.ts';
import { MillraceError } from '../../operators/errors.ts';

const someBytes = fc.option(fc.uint8Array({ maxLength: 6000 }).map((bytes) => Buffer.from(bytes)));
const someText = fc.string({ unit: 'grapheme' });
const someRecord = fc.record({
  timestampMs: fc.nat({ max: 8.64e15 }),
  key: someBytes,
  headers: fc.array(fc.record({ name: fc.oneof(someText, fc.constant('__proto__')), value: someText })),
  value: someBytes,
});

describe('the record envelope', () => {
  it('gives back what was put in, from a buffer that is reused and longer than the record', () => {
    fc.assert(
      fc.property(someRecord, fc.nat({ max: 50 }), (record, rest) => {
        expect(isStorable(record)).toBe(true);
        const encoded = encodeRecord(record);
        const shared = Buffer.concat([encoded, Buffer.alloc(rest, 255)]);
        const decoded = decodeRecord(shared);
        shared.fill(0);
        expect(decoded).toEqual(record);
        expect(payloadBytes(record)).toBeLessThanOrEqual(encoded.byteLength);
      }),
    );
  });
});

describe('the partitioner', () => {
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])("hashes '%s' as Kafka's clients do", (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash);
  });

  it('stays within the partitions, and takes them in turn for records without a key', () => {
    const partitioner = new Partitioner();
    fc.assert(
      fc.property(fc.uint8Array(), fc.integer({ min: 1, max: 1000 }), (key, partitions) => {
        const partition = partitioner.choose('text', partitions, key);
        return Number.isInteger(partition) && partition >= 0 && partition < partitions;
      }),
    );
    expect([0, 1, 2, 3].map(() => partitioner.choose('fresh', 3, null))).toEqual([0, 1, 2, 0]);
  });
});

describe("the log's failures", () => {
  it.each([28, 'ENOSPC', 122, -30792])('with code %s mean that the disk is full', async (code) => {
    expect(await logFailure(coded(code), '.')).toMatchObject({ code: 'disk-full' });
  });

  it('are looked up where LMDB hides the reason of a failed commit', async () => {
    const error = Object.assign(new Error('Commit failed'), { commitError: Promise.reject(coded(28)) });
    expect(await logFailure(error, '.')).toMatchObject({ code: 'disk-full', cause: { code: 28 } });
  });

  it('are log-failed otherwise, and pass unchanged when they are our own', async () => {
    expect(await logFailure(coded(5), '.')).toMatchObject({
      code: 'log-failed',
      message: expect.stringMatching('native'),
    });
    const own = new MillraceError('topic-missing', 'x');
    expect(await logFailure(own, '.')).toBe(own);
  });
});

function coded(code: number | string): Error {
  return Object.assign(new Error('native'), { code });
}
