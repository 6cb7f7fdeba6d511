import { Subject, concat, from, of, take } from 'rxjs';
import type { Subscription } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { checkpoint } from '../../../operators/checkpoint.ts';
import type { CheckpointOptions } from '../../../operators/checkpoint.ts';
import type { Element } from '../../../operators/flow.ts';
import type { CheckpointInfo, CheckpointStore, Cut } from '../../../operators/ports.ts';
import type { CheckpointReport } from '../../../operators/types.ts';
import { TestSource } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';
import { MemoryCheckpoints } from '../../support/memory-stores.ts';
import { Deferred } from '../../support/settle.ts';

/** A store that commits when the test says so. */
class SlowStore extends MemoryCheckpoints {
  readonly puts: Deferred<void>[] = [];

  override async put(cut: Cut): Promise<CheckpointInfo> {
    const allowed = new Deferred<void>();
    this.puts.push(allowed);
    await allowed.promise;
    return super.put(cut);
  }
}

/** The operator at work on a subject, with all that came out of it. */
class Bench {
  readonly source = new TestSource();
  readonly input = new Subject<Element<string>>();
  readonly seen: Element<string | CheckpointReport>[] = [];
  readonly errors: unknown[] = [];
  readonly subscription: Subscription;

  constructor(store: CheckpointStore, options: CheckpointOptions = {}) {
    this.subscription = this.input.pipe(checkpoint(store, options)).subscribe({
      next: (element) => this.seen.push(element),
      error: (error: unknown) => this.errors.push(error),
    });
  }

  async give(...elements: readonly Element<string>[]): Promise<void> {
    for (const element of elements) this.input.next(element);
    await vi.advanceTimersByTimeAsync(0);
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('checkpoint', () => {
  it('lets items and the other marks pass, errs and completes with its source, and lets go of it', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = new TestSource();
      const values = { a: source.item('a', 3), r: source.restore(), t: source.tick(1) };
      const operator = checkpoint<string>(new MemoryCheckpoints(), { every: '1ms', everyItems: 1 });
      const flow = cold<Element<string>>('ra-t-|', values);
      expectObservable(flow.pipe(operator)).toBe('ra-t-|', values);
      expectSubscriptions(flow.subscriptions).toBe('^----!');
      const failing = cold<Element<string>>('a--#', values);
      expectObservable(failing.pipe(operator)).toBe('a--#', values);
      expectSubscriptions(failing.subscriptions).toBe('^--!');
      const endless = cold<Element<string>>('a--a', values);
      expectObservable(endless.pipe(operator), '^-!').toBe('a--', values);
      expectSubscriptions(endless.subscriptions).toBe('^-!');
    });
  });

  it('commits the cut, tells the source, and reports before the barrier goes on', async () => {
    const store = new SlowStore();
    const bench = new Bench(store);
    const { source } = bench;
    const barrier = source.barrier({ pack: { state: { n: 1 } } }, 'savepoint');
    const [before, behind] = [source.item('before'), source.item('behind')];
    await bench.give(before, barrier, behind);
    expect([bench.seen, source.committed]).toEqual([[before], []]);
    store.puts[0]?.resolve();
    await vi.advanceTimersByTimeAsync(0);
    const report = {
      event: 'checkpoint',
      id: 'cut-000001',
      reason: 'savepoint',
      bytes: 1,
      durationMs: expect.any(Number),
      path: '/cut-000001',
    };
    expect(bench.seen).toEqual([before, source.item(report), barrier, behind]);
    expect(source.committed).toEqual([barrier]);
    expect(store.kept.map(({ states }) => [...states])).toEqual([[['pack', { state: { n: 1 } }]]]);
  });

  it('commits one cut after another', async () => {
    const store = new SlowStore();
    const bench = new Bench(store);
    await bench.give(bench.source.barrier(), bench.source.barrier());
    expect(store.puts).toHaveLength(1);
    store.puts[0]?.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(store.puts).toHaveLength(2);
  });

  it('keeps the newest periodic checkpoints, and every savepoint', async () => {
    const store = new MemoryCheckpoints();
    const bench = new Bench(store, { keep: 2, keepStops: 1 });
    const { source } = bench;
    await bench.give(source.barrier({}, 'savepoint'), source.barrier({}, 'stop'), source.barrier({}, 'stop'));
    for (let cut = 0; cut < 4; cut++) await bench.give(source.barrier());
    expect(store.kept.map(({ id }) => id)).toEqual(['cut-000001', 'cut-000003', 'cut-000006', 'cut-000007']);
  });

  it('leaves the cut of a deployment to who deploys', async () => {
    const store = new MemoryCheckpoints();
    const bench = new Bench(store);
    const barrier = bench.source.barrier({}, 'deploy');
    await bench.give(barrier);
    expect([bench.seen, store.kept]).toEqual([[barrier], []]);
  });

  it("ends with the store's error, and reports nothing", async () => {
    const store = new SlowStore();
    const bench = new Bench(store, { every: '1s' });
    await bench.give(bench.source.barrier());
    store.puts[0]?.reject(new Error('disk full'));
    await vi.advanceTimersByTimeAsync(0);
    expect([bench.errors, bench.seen, bench.source.committed]).toEqual([[new Error('disk full')], [], []]);
    expect([bench.input.observed, vi.getTimerCount()]).toEqual([false, 0]);
  });

  it('asks for a cut by the clock, when something has happened', async () => {
    const bench = new Bench(new MemoryCheckpoints(), { every: '10s' });
    const { source } = bench;
    await bench.give(source.restore());
    await vi.advanceTimersByTimeAsync(30_000);
    expect(source.requestedCuts).toEqual([]);
    await bench.give(source.item('a'));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(source.requestedCuts).toEqual(['timer']);
    await bench.give(source.barrier());
    await vi.advanceTimersByTimeAsync(30_000);
    expect(source.requestedCuts).toEqual(['timer']);
  });

  it('asks for a cut by the number of items since the last one', async () => {
    const bench = new Bench(new MemoryCheckpoints(), { everyItems: 3 });
    const { source } = bench;
    const item = source.item('a');
    await bench.give(item, item);
    expect(source.requestedCuts).toEqual([]);
    await bench.give(item, item);
    expect(source.requestedCuts).toEqual(['steps']);
    await bench.give(source.barrier(), item, item);
    expect(source.requestedCuts).toEqual(['steps']);
    await bench.give(item);
    expect(source.requestedCuts).toEqual(['steps', 'steps']);
  });

  it('leaves no timer behind, however it ends', () => {
    const source = new TestSource();
    const operator = checkpoint<string>(new MemoryCheckpoints(), { every: '1s' });
    const subscription = new Subject<Element<string>>().pipe(operator).subscribe();
    expect(vi.getTimerCount()).toBe(1);
    subscription.unsubscribe();
    expect(vi.getTimerCount()).toBe(0);
    from([source.item('a')])
      .pipe(operator)
      .subscribe();
    expect(vi.getTimerCount()).toBe(0);
    concat(of(source.item('a')), new Subject<Element<string>>())
      .pipe(operator, take(1))
      .subscribe();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('counts for each subscription by itself', async () => {
    const source = new TestSource();
    const operator = checkpoint<string>(new MemoryCheckpoints(), { everyItems: 2 });
    for (let time = 0; time < 3; time++)
      from([source.item('a')])
        .pipe(operator)
        .subscribe();
    expect(source.requestedCuts).toEqual([]);
  });
});
