import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Json } from '../../../operators/index.ts';
import { NO_VITALS, VitalSigns } from '../../../pipelines/redeploy/watch/vital-signs.ts';
import { Watch, beginWatch } from '../../../pipelines/redeploy/watch/watch.ts';
import type { WatchState } from '../../../pipelines/redeploy/watch/watch.ts';
import { withBars } from '../../../pipelines/spec/deploy.ts';
import { stepReport } from '../../support/step-report.ts';

const BEFORE = { ...NO_VITALS, steps: 100, bits: 2000, bytes: 1000 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Watching {
  readonly watch: Watch;
  readonly signs: VitalSigns;
  /** What happened, in turn. */
  readonly events: string[];
  readonly saved: WatchState[];
}

function watching(change: Partial<WatchState> = {}, isWaiting = false): Watching {
  const [signs, events, saved] = [new VitalSigns(), [] as string[], [] as WatchState[]];
  const state = { ...beginWatch({ windowMs: 10_000, bars: withBars(), from: 1 }), before: BEFORE, ...change };
  const watch = new Watch({
    state,
    signs,
    async save(each) {
      saved.push(each);
      events.push(each.verdict === null ? 'saved' : 'verdict saved');
    },
    async onStood() {
      events.push('stood');
    },
    onWorse: (verdict) => events.push(`worse: ${verdict}`),
    onFault: (error) => events.push(`fault: ${String(error)}`),
  });
  signs.flows(() => isWaiting);
  return { watch, signs, events, saved };
}

function train({ signs }: Watching, steps: number, loss: number): void {
  for (let step = 0; step < steps; step++) signs.step({ ...stepReport, loss }, false);
}

test('a graph that does as well stands the watch when its time is over', async () => {
  const watched = watching();
  train(watched, 30, Math.LN2);
  await vi.advanceTimersByTimeAsync(9500);
  expect(watched.events).not.toContain('stood');
  await vi.advanceTimersByTimeAsync(1000);
  expect(watched.events.filter((event) => event !== 'saved')).toEqual(['stood']);
});

test('one that does worse is told of at once, when the verdict is stored', async () => {
  const watched = watching();
  train(watched, 30, 2 * Math.LN2);
  await vi.advanceTimersByTimeAsync(500);
  expect(watched.events).toEqual(['verdict saved', expect.stringContaining('worse: 4.000 bits per byte')]);
  await watched.watch.condemn('again');
  await vi.advanceTimersByTimeAsync(20_000);
  expect(watched.events).toHaveLength(2);
});

test('another process goes on where one has ended, with the time and the figures that were saved', async () => {
  const first = watching();
  train(first, 15, 2 * Math.LN2);
  await vi.advanceTimersByTimeAsync(4000);
  await first.watch.stop();
  const state = first.saved.at(-1);
  expect(state?.watchedMs).toBeGreaterThan(3000);
  const second = watching(state);
  train(second, 15, 2 * Math.LN2);
  await vi.advanceTimersByTimeAsync(500);
  expect(second.events.join()).toContain('worse: 4.000 bits per byte');
  const calm = watching({ ...state, now: NO_VITALS });
  await vi.advanceTimersByTimeAsync(7000);
  expect(calm.events).toContain('stood');
});

test('who follows is told how it goes, and how it ended', async () => {
  const { watch } = watching();
  const told: Json[] = [];
  const end = watch.follow((progress) => told.push(progress));
  await vi.advanceTimersByTimeAsync(5000);
  expect(told[0]).toMatchObject({ phase: 'watch', before: { bitsPerByte: 2 }, now: { steps: 0 } });
  watch.end({ outcome: 'live', note: 'fine' });
  expect(await end).toEqual({ outcome: 'live', note: 'fine' });
});

test('time does not count before the first step, nor while nothing is trained although there is text, which has an end', async () => {
  const watched = watching({}, true);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(watched.watch.state.watchedMs).toBe(0);
  train(watched, 1, Math.LN2);
  await vi.advanceTimersByTimeAsync(5000);
  expect(watched.watch.state.watchedMs).toBe(5000);
  watched.signs.interrupted();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(watched.events).not.toContain('stood');
  watched.signs.flows(() => true);
  await vi.advanceTimersByTimeAsync(290_000);
  expect(watched.events.at(-1)).toBe('worse: nothing was trained for 5 minutes, although there is text');
});
