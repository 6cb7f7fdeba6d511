import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { holdout, isHeldOut } from '../../../operators/holdout.ts';
import type { LogRecord } from '../../../operators/types.ts';
import { TestSource, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';

function record(offset: number, key: string | null): LogRecord {
  const value = Buffer.from('text');
  const bytes = key === null ? null : Buffer.from(key);
  return { topic: 'text', partition: 1, offset, key: bytes, value, headers: {}, timestampMs: 0 };
}

const ALL = 1 - 1e-12;
const NONE = 1e-12;
const source = new TestSource();
const elements = {
  a: source.item(record(1, 'a'), 7),
  r: source.restore(),
  t: source.tick(1),
  b: source.barrier(),
};

describe('holdout', () => {
  it('lets marks pass, and records that are not held out', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('                                       ra-tb-|', elements);
      expectObservable(flow.pipe(holdout({ share: NONE }))).toBe('ra-tb-|', elements);
      expectSubscriptions(flow.subscriptions).toBe('            ^-----!');
      const other = cold('                                      ra-tb-|', elements);
      expectObservable(other.pipe(holdout({ share: ALL }))).toBe('r--tb-|', elements);
    });
  });

  it("passes the source's error on, and lets go of the source when unsubscribed", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      expectObservable(cold('a-#', elements).pipe(holdout({ share: NONE }))).toBe('a-#', elements);
      const flow = cold('a--a', elements);
      expectObservable(flow.pipe(holdout({ share: NONE })), '^-!').toBe('a--', elements);
      expectSubscriptions(flow.subscriptions).toBe('^-!');
    });
  });

  it('gives the bytes of what it drops back', async () => {
    const own = new TestSource();
    const flow = from([own.taken(record(1, 'a'), 7), own.taken(record(2, 'b'), 5)]);
    expect(valuesOf(await lastValueFrom(flow.pipe(holdout({ share: ALL }), toArray())))).toEqual([]);
    expect(own.window.inFlightBytes).toBe(0);
  });

  it('takes about the share, the same keys each time, and more of them where it is larger', () => {
    const keys = Array.from({ length: 5000 }, (_, at) => `key ${at}`);
    const heldOut = (share: number): string[] => keys.filter((key) => isHeldOut(record(1, key), share));
    expect(heldOut(0.1).length).toBeGreaterThan(400);
    expect(heldOut(0.1).length).toBeLessThan(600);
    expect(heldOut(0.2)).toEqual(expect.arrayContaining(heldOut(0.1)));
    expect(keys.filter((key) => isHeldOut(record(99, key), 0.1))).toEqual(heldOut(0.1));
  });

  it('goes by where a record stands that has no key', () => {
    const places = Array.from({ length: 5000 }, (_, offset) => record(offset, null));
    const count = places.filter((place) => isHeldOut(place, 0.1)).length;
    expect(count).toBeGreaterThan(400);
    expect(count).toBeLessThan(600);
  });
});
