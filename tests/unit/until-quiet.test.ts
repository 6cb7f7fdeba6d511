import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Window } from '../../operators/index.ts';
import { untilQuiet } from '../../pipelines/job/until-quiet.ts';

let window: Window;
let heardAtMs: number;
let isQuiet: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  window = new Window(100);
  heardAtMs = performance.now();
  isQuiet = false;
  untilQuiet(
    () => window,
    () => heardAtMs,
    3000,
  ).subscribe(() => (isQuiet = true));
});
afterEach(() => vi.useRealTimers());

/** Time passes in which the log answers every second, or is away. */
async function pass(seconds: number, isAway = false): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await vi.advanceTimersByTimeAsync(1000);
    if (!isAway) heardAtMs = performance.now();
  }
}

test('is quiet once nothing is in the window, and nothing has come, for so long', async () => {
  await pass(2);
  window.take(10);
  await pass(10);
  expect(isQuiet).toBe(false);
  window.give(10);
  await pass(2);
  expect(isQuiet).toBe(false);
  await pass(3);
  expect(isQuiet).toBe(true);
});

test('is quiet while only time is used that there is to spare', async () => {
  window.take(10);
  await pass(1);
  window.give(10);
  for (let second = 0; second < 5; second++) {
    window.take(20, true);
    await pass(1);
    window.give(20, true);
  }
  expect(isQuiet).toBe(true);
});

test('is not quiet while the log is away, nor at once when it is back', async () => {
  await pass(1);
  await pass(60, true);
  await pass(2);
  expect(isQuiet).toBe(false);
  await pass(3);
  expect(isQuiet).toBe(true);
});
