import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { logProbabilityOf, windowsOf } from '../../../pipelines/evaluation/windows.ts';
import type { Scorer } from '../../../pipelines/evaluation/scorer.ts';

const shape = fc
  .integer({ min: 2, max: 12 })
  .chain((size) => fc.record({ size: fc.constant(size), stride: fc.integer({ min: 1, max: size - 1 }) }));

test('each token but the first counts once, behind as much as the windows promise', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 80 }), shape, (length, { size, stride }) => {
      const windows = windowsOf(length, size, stride);
      const counted = windows.flatMap((window) => range(window.counted, window.to));
      expect(counted).toEqual(range(1, length));
      for (const { from, counted: first, to } of windows) {
        expect(to - from).toBeLessThanOrEqual(size);
        expect(first - from).toBeGreaterThanOrEqual(from === 0 ? 1 : size - stride);
      }
    }),
  );
});

test('a sum over windows is that of the tokens, as many as are asked for, from the end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 60 }), shape, fc.nat(), async (length, { size, stride }, seed) => {
      const tokens = Int32Array.from({ length }, (_, at) => at);
      const own = seed % length;
      const seen: number[] = [];
      const score: Scorer = async (part) => {
        expect(part.length).toBeLessThanOrEqual(size);
        return Array.from(part.subarray(1), (token) => -token);
      };
      const sum = await logProbabilityOf(tokens, own, { score, size, stride }, (count) => void seen.push(count));
      expect(sum).toBe(range(length - own, length).reduce((all, token) => all - token, 0));
      expect(seen.reduce((all, count) => all + count, 0)).toBe(own);
    }),
  );
});

test('an answer that has room in one window is read in one', async () => {
  const read: number[] = [];
  const score: Scorer = async (part) => {
    read.push(part.length);
    return Array.from(part.subarray(1), () => -1);
  };
  expect(await logProbabilityOf(new Int32Array(100), 5, { score, size: 10, stride: 5 })).toBe(-5);
  expect(read).toEqual([10]);
});

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
}
