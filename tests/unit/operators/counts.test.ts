import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Tally, totalsOf } from '../../../operators/counts.ts';
import { each } from '../../../operators/each.ts';
import { isItem } from '../../../operators/flow.ts';
import type { Element } from '../../../operators/flow.ts';
import { stateful } from '../../../operators/stateful.ts';
import { trainStep } from '../../../operators/train-step.ts';
import { TestSource, asStored } from '../../support/elements.ts';
import { fakeTrainer } from '../../support/fakes.ts';
import type { TokenBatch } from '../../../operators/types.ts';

/** Drops odd numbers, and counts them. */
const even = (uid: string): ReturnType<typeof stateful<number, number, Tally>> =>
  stateful<number, number, Tally>(uid, {
    init: () => new Tally(),
    next: (tally, value) => {
      if (value % 2 === 0) return [value];
      tally.add('dropped', 'odd');
      return [];
    },
    tick: () => [-1],
    snapshot: (tally) => tally.snapshot(),
    restore: (json) => Tally.restored(json),
    bytes: () => 0,
    counts: (tally) => tally.counts,
  });

const source = new TestSource();
const odd = (number: number): { readonly dropped: { readonly odd: number } } => ({ dropped: { odd: number } });

function batch(token: number): TokenBatch {
  const ids = Int32Array.of(token);
  return {
    rows: 1,
    context: 1,
    ids,
    targets: ids,
    lossMask: Float32Array.of(1),
    byteCount: 1,
    spans: [],
    timestampMs: 0,
  };
}

describe('a tally', () => {
  it('shows counts that do not change when more is counted, and goes on from a snapshot', () => {
    const tally = new Tally();
    expect(tally.counts).toEqual({});
    tally.add('dropped', 'odd');
    const before = tally.counts;
    const snapshot = tally.snapshot();
    tally.add('dropped', 'odd', 4);
    tally.add('kept', 'documents');
    expect(before).toEqual(odd(1));
    expect(tally.counts).toEqual({ dropped: { odd: 5 }, kept: { documents: 1 } });
    const again = Tally.restored(snapshot);
    again.add('dropped', 'odd');
    expect(again.counts).toEqual(odd(2));
  });

  it.each([[null], [3], [{ dropped: 3 }], [{ dropped: { odd: 0.5 } }]])('is not restored from %j', (json) => {
    expect(() => Tally.restored(json)).toThrow('expected');
  });

  it('is summed over operators by what was done', () => {
    expect([...totalsOf({ a: odd(2), b: { dropped: { short: 3, long: 1 }, kept: { documents: 9 } } })]).toEqual([
      ['dropped', 6],
      ['kept', 9],
    ]);
  });
});

describe('counts in the stream', () => {
  it('go on with the next element that passes, an item, a tick or a barrier, beside those of operators before', async () => {
    const flow: Element<number>[] = [1, 4, 3, 5].map((value) => source.item(value));
    const output = await lastValueFrom(
      from([...flow, source.tick(1), source.item(6), source.item(7), source.barrier()]).pipe(
        even('first'),
        each((value) => (value === 6 ? null : value)),
        even('second'),
        toArray(),
      ),
    );
    expect(
      output.map((element) => [isItem(element) ? element.value : element.kind, 'counts' in element && element.counts]),
    ).toEqual([
      [4, { first: odd(1), second: {} }],
      // What came by a tick is odd; so the second drops it, and then has its own turn.
      [-1, { first: odd(3), second: odd(1) }],
      ['tick', { first: odd(3), second: odd(1) }],
      ['barrier', { first: odd(4), second: odd(1) }],
    ]);
  });

  it('are in the state of the cut, and go on from there', async () => {
    const barrier = source.barrier();
    await lastValueFrom(from([source.item(1), source.item(3), barrier]).pipe(even('first'), toArray()));
    const restored = from([source.restore(asStored(barrier.basket)), source.item(5), source.item(2)]);
    const output = await lastValueFrom(restored.pipe(even('first'), toArray()));
    expect(output.at(-1)).toMatchObject({ value: 2, counts: { first: odd(3) } });
  });

  it('are in the report of the step, also of a batch that waited at a cut', async () => {
    const items = [1, 2, 3, 4].map((at) => ({ ...source.item(batch(at)), counts: { first: odd(at) } }));
    const barrier = source.barrier();
    const whole = await lastValueFrom(
      from([source.restore(), ...items, barrier]).pipe(trainStep(fakeTrainer()), toArray()),
    );
    const reports = whole.filter(isItem).map(({ value: { step, counts } }) => ({ step, counts }));
    expect(reports).toEqual([1, 2, 3, 4].map((at) => ({ step: at, counts: { first: odd(at) } })));
    const restored = from([source.restore(asStored(barrier.basket))]).pipe(trainStep(fakeTrainer()), toArray());
    const after = (await lastValueFrom(restored))
      .filter(isItem)
      .map(({ value: { step, counts } }) => ({ step, counts }));
    expect(after.length).toBeGreaterThan(0);
    expect(after).toEqual(reports.slice(-after.length));
  });
});
