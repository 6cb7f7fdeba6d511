import { Subject, from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Element } from '../../../operators/flow.ts';
import { stateful } from '../../../operators/stateful.ts';
import type { StatefulSpec } from '../../../operators/stateful.ts';
import { TestSource, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';
import { settle } from '../../support/settle.ts';

interface Sum {
  total: number;
}

/** Emits the running sum for even values, and on every tick; three bytes each. */
const spec: StatefulSpec<number, number, Sum> = {
  init: () => ({ total: 0 }),
  next: (state, value) => {
    state.total += value;
    return value % 2 === 0 ? [state.total] : [];
  },
  tick: (state) => [state.total],
  snapshot: ({ total }) => ({ total }),
  restore: (json) => {
    if (typeof json !== 'object' || json === null || !('total' in json)) throw new Error('not a sum');
    return { total: Number(json.total) };
  },
  bytes: () => 3,
};
const sum = stateful('sum', spec);

const source = new TestSource();
const elements = {
  o: source.item(1, 10),
  e: source.item(2, 10),
  E: source.item(3, 3),
  r: source.restore(),
  t: source.tick(7),
};

describe('stateful', () => {
  it('emits what next and tick return, a tick behind its values, and lets marks pass', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('   ro-e-t---|', elements);
      const expected = '    r--E-(Et)|';
      expectObservable(flow.pipe(sum)).toBe(expected, elements);
      expectSubscriptions(flow.subscriptions).toBe('^--------!');
    });
  });

  it('asks for time to spare while it wants any, and takes what it emits in it as spare', async () => {
    const own = new TestSource();
    const idle: StatefulSpec<number, number, Sum> = {
      ...spec,
      tick: () => [],
      spare: (state) => [(state.total -= 1)],
      wantsSpare: ({ total }) => total > 0,
    };
    const flow = [own.restore(), own.taken(2, 10), own.tick(1), own.spareTick(2), own.spareTick(3)];
    const seen = await lastValueFrom(from(flow).pipe(stateful('idle', idle), toArray()));
    expect(valuesOf(seen)).toEqual([2, 1, 0]);
    expect(seen.map((element) => (element.kind === 'item' ? (element.isSpare ?? false) : element.kind))).toEqual([
      'restore',
      false,
      'tick',
      true,
      'tick',
      true,
      'tick',
    ]);
    expect([own.requestedSpareTicks, own.window.workBytes, own.window.inFlightBytes]).toEqual([2, 3, 9]);
  });

  it('puts its state into the basket under its uid, as it is at the barrier', () => {
    marbles(({ cold, expectObservable }) => {
      const values = { ...elements, b: source.barrier({ other: { state: 1 } }), c: source.barrier() };
      const expected = {
        ...values,
        b: source.barrier({ other: { state: 1 }, sum: { state: { total: 1 } } }),
        c: source.barrier({ sum: { state: { total: 3 } } }),
      };
      expectObservable(cold('rob-e-c-|', values).pipe(sum)).toBe('r-b-E-c-|', expected);
    });
  });

  it('takes its state out of the restore, and leaves the rest alone', () => {
    marbles(({ cold, expectObservable }) => {
      const states = { sum: { state: { total: 40 } }, other: { state: 1 } };
      const values = { ...elements, r: source.restore(states), S: source.item(42, 3) };
      expectObservable(cold('re|', values).pipe(sum)).toBe('rS|', values);
    });
  });

  it('ends with state-invalid, which names the uid, when the state cannot be read', () => {
    const errors: unknown[] = [];
    from([source.restore({ sum: { state: 'junk' } })])
      .pipe(sum)
      .subscribe({ error: (error: unknown) => errors.push(error) });
    expect(errors).toEqual([
      expect.objectContaining({
        code: 'state-invalid',
        message: expect.stringContaining('"sum"'),
        cause: new Error('not a sum'),
      }),
    ]);
  });

  it("passes errors on, the source's and its own, and lets go of the source", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('e-#', elements);
      const values = { ...elements, e: source.item(2, 3) };
      expectObservable(flow.pipe(sum)).toBe('e-#', values);
      expectSubscriptions(flow.subscriptions).toBe('^-!');
      const endless = cold('o-e-o', elements);
      const failing = stateful<number, number, Sum>('sum', {
        ...spec,
        next: (_state, value) => {
          if (value === 2) throw new Error('of next');
          return [];
        },
      });
      expectObservable(endless.pipe(failing)).toBe('--#', {}, new Error('of next'));
      expectSubscriptions(endless.subscriptions).toBe('^-!');
    });
  });

  it('gives each subscription a state of its own', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('oe|', elements);
      const output = flow.pipe(sum);
      expectObservable(output).toBe('-E|', elements);
      expectObservable(output, '-----^').toBe('------E|', elements);
      expectSubscriptions(flow.subscriptions).toBe(['^-!', '-----^-!']);
    });
  });

  it('gives back what it absorbs and takes what it emits', async () => {
    const local = new TestSource();
    await lastValueFrom(from([local.taken(1, 10), local.taken(2, 20), local.tick(1)]).pipe(sum, toArray()));
    expect(local.window.inFlightBytes).toBe(2 * 3);
  });

  it('keeps the order, and the barrier in its place, when next takes its time', async () => {
    const slow = stateful<number, number, Sum>('sum', {
      ...spec,
      next: async (state, value) => {
        await settle(value);
        state.total += value;
        return [value];
      },
    });
    const barrier = source.barrier();
    const flow: Element<number>[] = [source.item(3), source.item(1), barrier, source.item(2)];
    const output = await lastValueFrom(from(flow).pipe(slow, toArray()));
    expect(valuesOf(output)).toEqual([3, 1, 2]);
    expect(output[2]).toBe(barrier);
    expect(barrier.basket.get('sum')).toEqual({ state: { total: 4 } });
  });

  it('is unmoved by a rejection after unsubscribing', async () => {
    const input = new Subject<Element<number>>();
    const failing = stateful<number, number, Sum>('sum', { ...spec, next: () => Promise.reject(new Error('late')) });
    const subscription = input.pipe(failing).subscribe();
    input.next(elements.o);
    subscription.unsubscribe();
    await settle();
    expect(input.observed).toBe(false);
  });
});
