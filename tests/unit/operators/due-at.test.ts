import { asyncScheduler } from 'rxjs';
import { describe, it } from 'vitest';
import { dueAt } from '../../../operators/due-at.ts';
import { marbles } from '../../support/marbles.ts';

/** Virtual where marbles run. */
const clock = { nowMs: () => asyncScheduler.now() };

describe('dueAt', () => {
  it.each([
    ['is ahead', 30],
    ['is further ahead than timers reach', 2 ** 33],
    ['is past', -5],
  ])('emits once a time has come that %s', (_, atMs) => {
    marbles(({ expectObservable }) => {
      expectObservable(dueAt(atMs, clock)).toBe(`${Math.max(0, atMs)}ms (x|)`, { x: 0 });
    });
  });
});
