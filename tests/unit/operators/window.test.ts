import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Window } from '../../../operators/window.ts';
import { settle } from '../../support/settle.ts';

describe('Window', () => {
  it('is open while fewer bytes than its limit are in flight, and may be overdrawn', () => {
    const window = new Window(10);
    window.take(9);
    expect(window.isOpen).toBe(true);
    window.take(500);
    expect([window.isOpen, window.inFlightBytes]).toEqual([false, 509]);
    window.give(499);
    expect(window.isOpen).toBe(false);
    window.give(1);
    expect([window.isOpen, window.inFlightBytes]).toEqual([true, 9]);
  });

  it('resolves opened() at once when it is open, else when bytes are given back', async () => {
    const window = new Window(1);
    await window.opened();
    window.take(2);
    let opened = 0;
    const waiting = [window.opened(), window.opened()].map((each) => each.then(() => opened++));
    window.give(1);
    await settle();
    expect(opened).toBe(0);
    window.give(1);
    await Promise.all(waiting);
    expect(opened).toBe(2);
  });

  it('goes on waiting when another takes the bytes first', async () => {
    const window = new Window(1);
    window.take(1);
    let opened = false;
    const waiting = window.opened().then(() => (opened = true));
    window.give(1);
    window.take(1);
    await settle();
    expect(opened).toBe(false);
    window.give(1);
    expect(await waiting).toBe(true);
  });

  it('is filled by spare bytes too, which are no work', async () => {
    const window = new Window(5);
    window.take(3);
    window.take(4, true);
    expect([window.isOpen, window.inFlightBytes, window.workBytes, window.takenBytes]).toEqual([false, 7, 3, 3]);
    let drained = false;
    const waiting = window.drained().then(() => (drained = true));
    window.give(3);
    await settle();
    expect([window.workBytes, drained]).toEqual([0, false]);
    window.give(4, true);
    expect(await waiting).toBe(true);
    expect([window.inFlightBytes, window.workBytes]).toEqual([0, 0]);
    await window.drained();
  });

  it('counts exactly', () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), fc.integer({ min: 1, max: 1000 }), (sizes, limit) => {
        const window = new Window(limit);
        for (const bytes of sizes) window.take(bytes);
        for (const bytes of sizes.toReversed()) window.give(bytes);
        expect([window.inFlightBytes, window.isOpen]).toEqual([0, true]);
      }),
    );
  });
});
