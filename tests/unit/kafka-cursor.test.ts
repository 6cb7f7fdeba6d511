import { expect, it } from 'vitest';
import { Cursor } from '../../infra/kafka/cursor.ts';
import type { Fetched } from '../../infra/kafka/fetch.ts';

const at = { topic: 'text', partition: 0 };

/** Records of five bytes. */
function fetched(from: number, next: number, offsets: readonly number[], end: number = next): Fetched {
  const record = { ...at, key: Buffer.from('k'), value: Buffer.from('text'), headers: {}, timestampMs: 1 };
  return { from: { ...at, offset: from }, next, end, records: offsets.map((offset) => ({ ...record, offset })) };
}

function cursorAt(offset: number): Cursor {
  return new Cursor({ ...at, offset });
}

function offsetsOf(records: readonly { readonly offset: number }[]): readonly number[] {
  return records.map(({ offset }) => offset);
}

it('goes on behind what it has, holes at the end included', () => {
  const cursor = cursorAt(5);
  expect(cursor.fill(fetched(5, 12, [5, 8]))).toBe(true);
  expect([cursor.offset, cursor.fetchFrom.offset]).toEqual([5, 12]);
  expect(offsetsOf(cursor.take({ maxRecords: 1 }))).toEqual([5]);
  expect(cursor.offset).toBe(6);
  expect(offsetsOf(cursor.take({}))).toEqual([8]);
  expect([cursor.offset, cursor.isEmpty, cursor.heldBytes]).toEqual([12, true, 0]);
});

it('moves over an answer that has only markers', () => {
  const cursor = cursorAt(0);
  expect(cursor.fill(fetched(0, 2, []))).toBe(true);
  expect([cursor.offset, cursor.isEmpty]).toEqual([2, true]);
  expect(cursor.fill(fetched(2, 2, []))).toBe(false);
});

it('takes one answer to a question, whichever comes first', () => {
  const cursor = cursorAt(0);
  expect(cursor.fill(fetched(0, 2, [0, 1]))).toBe(true);
  expect(cursor.fill(fetched(0, 3, [0, 1, 2]))).toBe(false);
  expect(offsetsOf(cursor.take({}))).toEqual([0, 1]);
  expect(cursor.fill(fetched(0, 3, [0, 1, 2]))).toBe(false);
  expect(cursor.fetchFrom.offset).toBe(2);
});

it('keeps what came ahead, in order', () => {
  const cursor = cursorAt(0);
  cursor.fill(fetched(0, 2, [0, 1], 4));
  cursor.take({ maxRecords: 1 });
  cursor.fill(fetched(2, 4, [2, 3], 4));
  expect(offsetsOf(cursor.take({ maxRecords: 2 }))).toEqual([1, 2]);
  expect(offsetsOf(cursor.take({ maxRecords: 2 }))).toEqual([3]);
});

it.each([
  ['records', { maxRecords: 3 }],
  ['bytes', { maxBytes: 15 }],
])('gives as many %s as were asked for wherever the answers were cut, and the rest only at the end', (_, limit) => {
  const cursor = cursorAt(0);
  cursor.fill(fetched(0, 2, [0, 1], 5));
  expect(cursor.take(limit)).toEqual([]);
  cursor.fill(fetched(2, 4, [2, 3], 5));
  expect(offsetsOf(cursor.take(limit))).toEqual([0, 1, 2]);
  expect(cursor.take(limit)).toEqual([]);
  cursor.fill(fetched(4, 5, [4], 5));
  expect(offsetsOf(cursor.take(limit))).toEqual([3, 4]);
});

it('gives what it has when the partition turns out to have no more', () => {
  const cursor = cursorAt(0);
  cursor.fill(fetched(0, 1, [0], 9));
  expect(cursor.take({})).toEqual([]);
  cursor.fill(fetched(1, 1, [], 9));
  expect(offsetsOf(cursor.take({}))).toEqual([0]);
});

it('gives one record however large it is', () => {
  const cursor = cursorAt(0);
  cursor.fill(fetched(0, 2, [0, 1]));
  expect(offsetsOf(cursor.take({ maxBytes: 1 }))).toEqual([0]);
});
