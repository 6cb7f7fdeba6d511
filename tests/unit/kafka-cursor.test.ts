import type { FetchedPartition } from 'kafkajs/src/cluster/index.js';
import { expect, it } from 'vitest';
import { Cursor } from '../../infra/kafka/cursor.ts';

function fetched(...offsets: readonly number[]): FetchedPartition {
  return {
    partition: 0,
    messages: offsets.map((offset) => ({
      offset: String(offset),
      timestamp: '1',
      key: null,
      value: Buffer.from(`${offset}`),
      headers: {},
    })),
  };
}

function cursorAt(offset: number): Cursor {
  return new Cursor({ topic: 'text', partition: 0, offset });
}

it('leaves out what lies before it, and goes on behind what it has', () => {
  const cursor = cursorAt(5);
  expect(cursor.fill(5, fetched(3, 4, 5, 8))).toBe(true);
  expect([cursor.offset, cursor.fetchFrom]).toEqual([5, 9]);
  expect(cursor.take({ maxRecords: 1 }).map(({ offset }) => offset)).toEqual([5]);
  expect(cursor.offset).toBe(6);
  expect(cursor.take({}).map(({ offset }) => offset)).toEqual([8]);
  expect([cursor.offset, cursor.isEmpty]).toEqual([9, true]);
});

it('takes one answer to a question, whichever comes first', () => {
  const cursor = cursorAt(0);
  expect(cursor.fill(0, fetched(0, 1))).toBe(true);
  expect(cursor.fill(0, fetched(0, 1, 2))).toBe(false);
  expect(cursor.take({}).map(({ offset }) => offset)).toEqual([0, 1]);
  expect(cursor.fill(0, fetched(0, 1, 2))).toBe(false);
  expect(cursor.fetchFrom).toBe(2);
});

it('goes beyond a batch whose last records were compacted away', () => {
  const cursor = cursorAt(0);
  const [kept] = fetched(0).messages;
  if (!kept) throw new Error('There is one.');
  const batchContext = { firstOffset: '0', lastOffsetDelta: 9 };
  expect(cursor.fill(0, { partition: 0, messages: [{ ...kept, batchContext }] })).toBe(true);
  expect(cursor.fetchFrom).toBe(10);
  expect(cursor.fill(10, fetched())).toBe(false);
});
