import { describe, expect, it } from 'vitest';
import { Drift } from '../../../operators/drift.ts';
import type { DriftOptions } from '../../../operators/drift.ts';
import { randomFrom } from '../../support/random.ts';

const options: DriftOptions = { blockBytes: 100, reference: 16, threshold: 8, both: false };

/** The state changes of blocks with these bits per byte, each with the place of its block. */
function changesIn(levels: readonly number[], changes: Partial<DriftOptions> = {}): string[] {
  const drift = new Drift({ ...options, ...changes });
  return levels.flatMap((level, at) => {
    const change = drift.add(100, level * 100);
    return change ? [`${at} ${change.state}${change.by ? ` by ${change.by}` : ''}`] : [];
  });
}

/** So many blocks about a level, spread by 0.1. */
function about(level: number, blocks: number, seed: number): number[] {
  const random = randomFrom(seed);
  return Array.from({ length: blocks }, () => level + 0.2 * (random() - 0.5));
}

describe('drift', () => {
  it('is silent about a source that stays, or falls as the model learns it', () => {
    expect(changesIn(about(2, 400, 1))).toEqual([]);
    expect(changesIn(about(2, 400, 2).map((level, at) => level - at / 400))).toEqual([]);
  });

  it('is raised within a few blocks of a move, and cleared when the source is back', () => {
    const changes = changesIn([...about(2, 50, 3), ...about(2.5, 10, 4), ...about(2, 40, 5)]);
    expect(changes).toHaveLength(2);
    expect(Number.parseInt(changes[0] ?? '', 10)).toBeLessThan(54);
    expect(changes[1]).toMatch(/cleared by return$/);
  });

  it('is cleared when what the source has become is usual, and then judges by that', () => {
    const moved = [...about(2, 50, 6), ...about(3, 150, 7)];
    expect(changesIn(moved)).toEqual([expect.stringMatching(/raised$/), expect.stringMatching(/cleared by habit$/)]);
    expect(changesIn([...moved, ...about(4, 10, 8)])).toHaveLength(3);
  });

  it('is raised by less than usual only where that is asked for', () => {
    const falling = [...about(2, 50, 9), ...about(1, 10, 10)];
    expect(changesIn(falling)).toEqual([]);
    expect(changesIn(falling, { both: true })).toEqual([expect.stringMatching(/raised$/)]);
  });

  it('is not raised by one strange block, and judges nothing before it knows what is usual', () => {
    expect(changesIn([...about(2, 50, 11), 9, ...about(2, 50, 12)])).toEqual([]);
    expect(changesIn([1, 1, 1, 9, 9, 9, 9])).toEqual([]);
  });

  it('takes text together until a block is full', () => {
    const drift = new Drift({ ...options, reference: 1 });
    const added = [60, 60, 60, 60, 60, 60].map((bytes, at) => drift.add(bytes, bytes * (at < 4 ? 1 : 50)));
    expect(added.filter((change) => change !== null)).toEqual([]);
    expect(drift.snapshot()).toMatchObject({ blocks: 1, bytes: 0 });
  });
});
