import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePlace, encodePlace } from '../../infra/kafka/group/counted-place.ts';
import {
  decodeAssignment,
  decodeClaim,
  encodeAssignment,
  encodeSubscription,
} from '../../infra/kafka/group/messages.ts';
import { shareOut } from '../../infra/kafka/group/share-out.ts';
import type { Claimant } from '../../infra/kafka/group/share-out.ts';
import type { PartitionId } from '../../operators/ports.ts';

function partitions(count: number): readonly PartitionId[] {
  return Array.from({ length: count }, (_, partition) => ({ topic: 'text', partition }));
}

function member(memberId: string, owned: readonly number[] = [], generation = 1): Claimant {
  return { memberId, generation, owned: owned.map((partition) => ({ topic: 'text', partition })) };
}

function numbersOf(shares: ReadonlyMap<string, readonly PartitionId[]>): Record<string, readonly number[]> {
  return Object.fromEntries([...shares].map(([id, share]) => [id, share.map(({ partition }) => partition)]));
}

function sorted(share: readonly PartitionId[]): readonly number[] {
  return share.map(({ partition }) => partition).toSorted((one, other) => one - other);
}

describe('partitions of a group', () => {
  it('stay where they are as far as that is fair', () => {
    const shares = shareOut(partitions(5), [member('new'), member('old', [0, 1, 2, 3, 4])]);
    expect(numbersOf(shares)).toEqual({ new: [3, 4], old: [0, 1, 2] });
    expect(numbersOf(shareOut(partitions(3), [member('a', [2]), member('b', [1])]))).toEqual({ a: [2, 0], b: [1] });
  });

  it('go to who had them last, of two who say so, and never to nobody', () => {
    expect(numbersOf(shareOut(partitions(2), [member('paused', [0, 1], 3), member('b', [0], 4)]))).toEqual({
      b: [0],
      paused: [1],
    });
    expect(numbersOf(shareOut(partitions(1), [member('a', [7]), member('b')]))).toEqual({ a: [0], b: [] });
  });

  it('are shared out wholly, evenly, the same in any order, and moved only where they must', () => {
    const claims = fc.array(fc.tuple(fc.uniqueArray(fc.nat(11)), fc.nat(3)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.nat(12), claims, (count, all) => {
        const claimants = all.map(([owned, generation], index) => member(`m${index}`, owned, generation));
        const shares = shareOut(partitions(count), claimants);
        const sizes = [...shares.values()].map(({ length }) => length);
        expect(numbersOf(shareOut(partitions(count), claimants.toReversed()))).toEqual(numbersOf(shares));
        expect(
          [...shares.values()]
            .flat()
            .map(({ partition }) => partition)
            .toSorted((a, b) => a - b),
        ).toEqual(partitions(count).map(({ partition }) => partition));
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        const settled = claimants.map(({ memberId }) => ({
          memberId,
          generation: 9,
          owned: shares.get(memberId) ?? [],
        }));
        const again = numbersOf(shareOut(partitions(count), settled));
        for (const [id, share] of shares) expect(again[id]).toEqual(sorted(share));
      }),
    );
  });
});

describe('what members tell each other', () => {
  it('survives the way', () => {
    const owned = [...partitions(2), { topic: 'more', partition: 3 }];
    expect(decodeClaim(encodeSubscription(['text', 'more'], { owned, generation: 4 }))).toEqual({
      owned,
      generation: 4,
    });
    expect(decodeAssignment(encodeAssignment(owned))).toEqual(owned);
    expect(decodeAssignment(encodeAssignment([]))).toEqual([]);
    expect(decodeAssignment(Buffer.alloc(0))).toEqual([]);
  });

  it('is no claim when it can not be read', () => {
    expect(decodeClaim(Buffer.from('junk'))).toEqual({ owned: [], generation: -1 });
  });
});

it('says with an offset which cut counts, and tells when another has set it', () => {
  const place = { entry: 12, played: 3 };
  const position = encodePlace('ledger', 'job', place);
  expect(position).toMatchObject({ topic: 'ledger', partition: 0, offset: 12 });
  expect(decodePlace(position)).toEqual(place);
  expect(() => decodePlace({ ...position, metadata: '' })).toThrow(expect.objectContaining({ code: 'state-invalid' }));
});
