import { expect, it } from 'vitest';
import { nothingSeen, seenAfter } from '../../../operators/watermark.ts';

it('says of each partition how far it was learnt, and when the newest of it came', () => {
  const first = seenAfter(nothingSeen, {
    spans: [
      { topic: 'text', partition: 0, from: 0, to: 3 },
      { topic: 'text', partition: 1, from: 7, to: 8 },
      { topic: 'text', partition: 0, from: 3, to: 5 },
    ],
    timestampMs: 20,
  });
  expect(first).toEqual({ watermark: { 'text/0': 5, 'text/1': 8 }, textAtMs: 20 });
  const second = seenAfter(first, { spans: [{ topic: 'text', partition: 1, from: 8, to: 9 }], timestampMs: 10 });
  expect(second).toEqual({ watermark: { 'text/0': 5, 'text/1': 9 }, textAtMs: 20 });
  expect(seenAfter(second, { spans: [], timestampMs: 30 })).toEqual({ ...second, textAtMs: 30 });
});
