import { Subject, from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { each } from '../../../operators/each.ts';
import type { Element } from '../../../operators/flow.ts';
import { TestSource, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';
import { settle } from '../../support/settle.ts';

const source = new TestSource();
const double = each<number, number>((value) => (value < 0 ? null : value * 2));
const elements = {
  m: source.item(-1, 0),
  a: source.item(1, 3),
  b: source.item(2, 5),
  A: source.item(2, 3),
  B: source.item(4, 5),
  r: source.restore(),
  t: source.tick(1),
  c: source.barrier(),
};

describe('each', () => {
  it('emits a result per value under its bytes, nothing for null, and lets marks pass', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('   ra-m-tcb-|', elements);
      expectObservable(flow.pipe(double)).toBe('rA---tcB-|', elements);
      expectSubscriptions(flow.subscriptions).toBe('^--------!');
    });
  });

  it("passes the source's error on, and lets go of the source when unsubscribed", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const failing = cold('a-#', elements);
      expectObservable(failing.pipe(double)).toBe('A-#', elements);
      expectSubscriptions(failing.subscriptions).toBe('^-!');
      const flow = cold('a--b--', elements);
      expectObservable(flow.pipe(double), '^-!').toBe('A--', elements);
      expectSubscriptions(flow.subscriptions).toBe('^-!');
    });
  });

  it('ends with what the function throws', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('a-b', elements);
      const failing = each<number, number>(() => {
        throw new Error('of the function');
      });
      expectObservable(flow.pipe(failing)).toBe('#', elements, new Error('of the function'));
      expectSubscriptions(flow.subscriptions).toBe('(^!)');
    });
  });

  it('gives the bytes of a dropped value back, and no others', async () => {
    const local = new TestSource();
    const flow = from([local.taken(1, 10), local.taken(-1, 20), local.taken(-2, 40)]);
    const dropLater = each<number, number>(async (value) => (value < 0 ? null : value));
    expect(valuesOf(await lastValueFrom(flow.pipe(dropLater, toArray())))).toEqual([1]);
    expect(local.window.inFlightBytes).toBe(10);
  });

  it('keeps the order across asynchronous work', async () => {
    const waits = [3, 1, 2, 0];
    for (const concurrency of [1, 2, 8]) {
      const operator = each<number, number>(
        async (turns) => {
          await settle(turns);
          return turns;
        },
        { concurrency },
      );
      const output = from(waits.map((turns) => source.item(turns))).pipe(operator, toArray());
      expect(valuesOf(await lastValueFrom(output))).toEqual(waits);
    }
  });

  it('is unmoved by a rejection after unsubscribing', async () => {
    const input = new Subject<Element<number>>();
    const subscription = input.pipe(each(() => Promise.reject(new Error('nobody listens')))).subscribe();
    input.next(elements.a);
    subscription.unsubscribe();
    await settle();
    expect(input.observed).toBe(false);
  });
});
