import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SourceSums, sourceStateSchema } from '../../../operators/source-sums.ts';
import type { Exam } from '../../../operators/types.ts';

/** A piece of one token for each topic, that took so many bits for its one byte. */
function examOf(parts: readonly { readonly topic: string; readonly bits: number }[]): Exam {
  return {
    targets: new Int32Array(parts.length),
    lossMask: new Float32Array(parts.length).fill(1),
    losses: Float32Array.from(parts, ({ bits }) => bits * Math.LN2),
    pieces: parts.map(({ topic }, at) => {
      const place = { from: at, to: at + 1, bytes: 1, begins: true, ends: true };
      return { at: { topic, partition: 0, offset: at }, timestampMs: 0, ...place };
    }),
  };
}

function restored(sums: SourceSums): SourceSums {
  const stored: unknown = JSON.parse(JSON.stringify(sums.snapshot()));
  return new SourceSums(z.record(z.string(), sourceStateSchema).parse(stored));
}

describe('sums by source', () => {
  it('are of each topic by itself', () => {
    const sums = new SourceSums();
    sums.add(examOf([{ topic: 'a', bits: 1 }]));
    const parts = [
      { topic: 'a', bits: 2 },
      { topic: 'b', bits: 5 },
      { topic: 'a', bits: 3 },
    ] as const;
    const figures = sums.add(examOf(parts));
    expect(figures['a']).toMatchObject({ tokens: 2, bytes: 2, bits: expect.closeTo(5, 5) });
    expect(figures['a']?.totals).toEqual({ tokens: 3, bytes: 3, bits: expect.closeTo(6, 5) });
    expect(figures['b']?.totals).toEqual({ tokens: 1, bytes: 1, bits: expect.closeTo(5, 5) });
    expect(Object.keys(sums.add(examOf([{ topic: 'b', bits: 1 }])))).toEqual(['b']);
  });

  it('have a window of the last hundred steps of the topic, over cuts too', () => {
    let sums = new SourceSums();
    sums.add(examOf([{ topic: 'a', bits: 1000 }]));
    for (let step = 0; step < 99; step++) sums.add(examOf([{ topic: 'a', bits: 1 }]));
    sums.add(examOf([{ topic: 'b', bits: 1 }]));
    sums = restored(sums);
    const figures = sums.add(examOf([{ topic: 'a', bits: 1 }]));
    expect(figures['a']?.window).toEqual({ bytes: 100, bits: expect.closeTo(100, 3) });
    expect(figures['a']?.totals.bytes).toBe(101);
  });
});
