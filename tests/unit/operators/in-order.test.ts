import * as fc from 'fast-check';
import { Observable, Subject, take } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Element } from '../../../operators/flow.ts';
import { isItem } from '../../../operators/flow.ts';
import { inOrder } from '../../../operators/in-order.ts';
import type { Handler } from '../../../operators/in-order.ts';
import { TestSource, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';
import { Deferred, settle } from '../../support/settle.ts';

const source = new TestSource();
const upper: Handler<string, string> = (element) =>
  isItem(element) ? [{ ...element, value: element.value.toUpperCase() }] : [element];
const elements = {
  a: source.item('a'),
  b: source.item('b'),
  A: source.item('A'),
  B: source.item('B'),
  r: source.restore(),
  t: source.tick(1),
  c: source.barrier(),
};

describe('inOrder', () => {
  it('emits what the handler makes of items and marks, as they come', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('  ra-t(bc)-|', elements);
      const expected = '   rA-t(Bc)-|';
      expectObservable(flow.pipe(inOrder(upper))).toBe(expected, elements);
      expectSubscriptions(flow.subscriptions).toBe('^--------!');
    });
  });

  it('emits none, one or several for one', () => {
    marbles(({ cold, expectObservable }) => {
      const flow = cold('a-b-----|', elements);
      const twice: Handler<string, string> = (element) => (element === elements.a ? [] : [element, element]);
      expectObservable(flow.pipe(inOrder(twice))).toBe('--(bb)--|', elements);
    });
  });

  it("passes the source's error on and lets go of it", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('a--#', elements);
      expectObservable(flow.pipe(inOrder(upper))).toBe('A--#', elements);
      expectSubscriptions(flow.subscriptions).toBe('^--!');
    });
  });

  it('lets go of the source when it is unsubscribed', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('a--b--a--', elements);
      expectObservable(flow.pipe(inOrder(upper)), '^---!').toBe('A--B-', elements);
      expectSubscriptions(flow.subscriptions).toBe('^---!');
    });
  });

  it('ends with what the handler throws, and lets go of the source', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('a-b--a--', elements);
      const failing: Handler<string, string> = (element) => {
        if (element === elements.b) throw new Error('of the handler');
        return [element];
      };
      expectObservable(flow.pipe(inOrder(failing))).toBe('a-#', elements, new Error('of the handler'));
      expectSubscriptions(flow.subscriptions).toBe('^-!');
    });
  });

  it('stops listening to a source that emits in one go', () => {
    let emitted = 0;
    const endless = new Observable<Element<string>>((subscriber) => {
      for (; !subscriber.closed && emitted < 100; emitted++) subscriber.next(elements.a);
    });
    endless.pipe(inOrder(upper), take(3)).subscribe();
    expect(emitted).toBeLessThan(10);
  });

  it('keeps the order when its output makes the source emit more', () => {
    const input = new Subject<Element<number>>();
    const seen: number[] = [];
    input.pipe(inOrder((element) => [element, element])).subscribe((element) => {
      if (!isItem(element)) return;
      seen.push(element.value);
      if (element.value < 2) input.next(source.item(element.value + 1));
    });
    input.next(source.item(0));
    expect(seen).toEqual([0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
  });

  it('completes behind the outputs of the last element', async () => {
    const input = new Subject<Element<string>>();
    const outcome = new Deferred<readonly Element<string>[]>();
    const seen: string[] = [];
    input.pipe(inOrder(() => outcome.promise)).subscribe({
      next: () => seen.push('value'),
      complete: () => seen.push('complete'),
    });
    input.next(elements.a);
    input.complete();
    await settle();
    expect(seen).toEqual([]);
    outcome.resolve([elements.A]);
    await settle();
    expect(seen).toEqual(['value', 'complete']);
  });

  it('ends with the first rejection, and is deaf to those that come later', async () => {
    const input = new Subject<Element<number>>();
    const outcomes = [new Deferred<readonly Element<number>[]>(), new Deferred<readonly Element<number>[]>()];
    const errors: unknown[] = [];
    const handle: Handler<number, number> = (element) =>
      (isItem(element) ? outcomes[element.value]?.promise : undefined) ?? [element];
    input.pipe(inOrder(handle, 2)).subscribe({ error: (error: unknown) => errors.push(error) });
    input.next(source.item(0));
    input.next(source.item(1));
    outcomes[1]?.reject('second');
    await settle();
    outcomes[0]?.reject('first, too late');
    await settle();
    expect(errors).toEqual(['second']);
    expect(input.observed).toBe(false);
  });

  it('lets a rejection after unsubscribing come to nothing', async () => {
    const input = new Subject<Element<string>>();
    const outcome = new Deferred<readonly Element<string>[]>();
    const subscription = input.pipe(inOrder(() => outcome.promise)).subscribe();
    input.next(elements.a);
    subscription.unsubscribe();
    outcome.reject(new Error('nobody listens'));
    await settle();
    expect(input.observed).toBe(false);
  });

  it('keeps order and fences whichever promise settles first', async () => {
    const plan = fc.array(fc.constantFrom('item', 'item', 'sync item', 'tick', 'barrier'), { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), plan, fc.integer({ min: 1, max: 4 }), async (scheduler, kinds, concurrency) => {
        const flow = kinds.map((kind, at): Element<number> => {
          if (kind === 'tick') return source.tick(at);
          return kind === 'barrier' ? source.barrier() : source.item(at);
        });
        const running = new Set<Element<number>>();
        const handle: Handler<number, number> = (element) => {
          const mayRunBeside = isItem(element) ? concurrency - 1 : 0;
          expect(running.size).toBeLessThanOrEqual(mayRunBeside);
          expect([...running].every(isItem)).toBe(true);
          running.add(element);
          const finish = (): readonly Element<number>[] => {
            running.delete(element);
            return [element];
          };
          if (isItem(element) && kinds[element.value] === 'sync item') return finish();
          return scheduler.schedule(Promise.resolve()).then(finish);
        };
        const input = new Subject<Element<number>>();
        const output: Element<number>[] = [];
        const done = new Deferred<void>();
        input.pipe(inOrder(handle, concurrency)).subscribe({
          next: (element) => output.push(element),
          error: (error: unknown) => done.reject(error),
          complete: () => done.resolve(),
        });
        for (const element of flow) input.next(element);
        input.complete();
        await scheduler.waitFor(done.promise);
        expect(output).toEqual(flow);
        expect(valuesOf(output)).toEqual(valuesOf(flow));
      }),
      { numRuns: 60 },
    );
  });

  it('works on as many items at once as it may', async () => {
    const input = new Subject<Element<number>>();
    const started: number[] = [];
    const never: Handler<number, number> = (element) => {
      if (isItem(element)) started.push(element.value);
      return new Promise(() => {});
    };
    const subscription = input.pipe(inOrder(never, 3)).subscribe();
    for (let at = 0; at < 5; at++) input.next(source.item(at));
    expect(started).toEqual([0, 1, 2]);
    subscription.unsubscribe();
  });

  it('shares nothing between two subscriptions', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('a-b-|', elements);
      const output = flow.pipe(inOrder(upper));
      expectObservable(output).toBe('A-B-|', elements);
      expectObservable(output, '--^').toBe('--A-B-|', elements);
      expectSubscriptions(flow.subscriptions).toBe(['^---!', '--^---!']);
    });
  });
});
