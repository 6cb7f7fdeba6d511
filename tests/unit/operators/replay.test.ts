import * as fc from 'fast-check';
import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Element } from '../../../operators/flow.ts';
import { isItem } from '../../../operators/flow.ts';
import { Packer } from '../../../operators/packer.ts';
import { replay, replayKind } from '../../../operators/replay.ts';
import type { ReplayOptions } from '../../../operators/replay.ts';
import { respellBatch } from '../../../operators/respell-batch.ts';
import type { Snapshot, TokenBatch } from '../../../operators/types.ts';
import { TestSource, asStored, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';

const END = 99;
const SHAPE = { rows: 2, context: 3, endOfText: END };

/** Batches of documents of so many tokens, none of which recurs. */
function batchesOf(lengths: readonly number[], isolate = false): TokenBatch[] {
  const packer = new Packer({ ...SHAPE, isolate });
  let token = 100;
  const batches = lengths.flatMap((length, offset) => {
    const tokens = Int32Array.from({ length }, () => token++);
    const at = { topic: 'text', partition: 0, offset };
    return packer.add({ tokens, tokenBytes: new Uint16Array(length).fill(1), at, timestampMs: offset });
  });
  return [...batches, ...packer.closeIfWaiting(0, 0)];
}

async function run(
  elements: readonly Element<TokenBatch>[],
  options: Partial<ReplayOptions> = {},
): Promise<Element<TokenBatch>[]> {
  return lastValueFrom(from(elements).pipe(replay({ endOfText: END, ...options }), toArray()));
}

/** The tokens of each row that counts, by its first input and target. */
function rowsIn(batches: readonly TokenBatch[]): Map<string, string> {
  const rows = new Map<string, string>();
  for (const { context, ids, targets, lossMask, segments } of batches) {
    for (let at = 0; at < ids.length; at += context) {
      const parts = [ids, targets, lossMask].map((values) => values.subarray(at, at + context).join());
      const own = segments && Array.from(segments.subarray(at, at + context));
      // Numbers only tell documents of a row apart.
      const borders = own?.map((segment, place) => place > 0 && segment !== own[place - 1]).join() ?? '';
      if (lossMask.subarray(at, at + context).includes(1))
        rows.set(`${ids[at]} ${targets[at]}`, [...parts, borders].join('|'));
    }
  }
  return rows;
}

const fresh = (batches: readonly TokenBatch[]): TokenBatch[] => batches.filter(({ replayed }) => !replayed);
const replayed = (batches: readonly TokenBatch[]): TokenBatch[] => batches.filter((batch) => batch.replayed);

const source = new TestSource();
const batches = batchesOf([5, 5, 5, 5]);
/** Of every batch here. */
const BYTES = 2 * 3 * 12;

function batchNo(at: number): TokenBatch {
  const batch = batches[at];
  if (!batch) throw new Error(`There is no batch ${at}.`);
  return batch;
}

const elements = {
  a: source.item(batchNo(0), 0),
  r: source.restore(),
  t: source.tick(1),

  b: source.barrier(),
};

describe('replay', () => {
  it('puts batches behind the fresh ones that they are due with, and lets marks pass', async () => {
    const own = new TestSource();
    const [one, two, three] = [0, 1, 2].map((at) => own.taken(batchNo(at), 10));
    const flow = [own.restore(), one, own.tick(1), two, own.barrier(), three].filter(
      (element) => element !== undefined,
    );
    const seen = await run(flow, { share: 0.5 });
    const words = seen.map((element) => (isItem(element) ? (element.value.replayed ? 'past' : 'fresh') : element.kind));
    expect(words).toEqual(['restore', 'fresh', 'past', 'tick', 'fresh', 'past', 'barrier', 'fresh', 'past']);
    expect(own.window.inFlightBytes).toBe(6 * BYTES);
    expect([own.window.workBytes, own.requestedSpareTicks]).toEqual([own.window.inFlightBytes, 0]);
  });

  it('lets go of its source when unsubscribed, at an error and at the end', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const operator = replay({ endOfText: END, share: 0 });
      const passed = { ...elements, a: source.item(batchNo(0), BYTES) };
      const whole = cold('rat-|', elements);
      expectObservable(whole.pipe(operator)).toBe('rat-|', passed);
      expectSubscriptions(whole.subscriptions).toBe('^---!');
      expectObservable(cold('a-#', elements).pipe(operator)).toBe('a-#', passed);
      const endless = cold('a--a', elements);
      expectObservable(endless.pipe(operator), '^-!').toBe('a--', passed);
      expectSubscriptions(endless.subscriptions).toBe('^-!');
    });
  });

  it('replays rows as they were trained on, which count for nothing but themselves', async () => {
    for (const isolate of [false, true]) {
      const all = batchesOf([1, 7, 2, 2, 11, 3, 1], isolate);
      const seen = valuesOf(
        await run(
          all.map((batch) => source.item(batch)),
          { stepsPerBatch: 3, share: 0 },
        ),
      );
      expect(fresh(seen)).toEqual(all);
      const again = replayed(seen);
      expect(again).toHaveLength(3 * all.length);
      const known = rowsIn(all);
      for (const [name, row] of rowsIn(again)) expect(known.get(name)).toBe(row);
      const newest = Math.max(...all.map(({ timestampMs }) => timestampMs));
      for (const { byteCount, spans, timestampMs } of again) {
        expect([byteCount, spans, timestampMs <= newest]).toEqual([0, [], true]);
      }
    }
  });

  it('says which record each row begins in', async () => {
    // Rows of three: [0 0 0] [0 0 end] [1 1 1] [1 1 end] …
    const seen = valuesOf(
      await run(
        batches.map((batch) => source.item(batch)),
        { stepsPerBatch: 9, share: 0 },
      ),
    );
    for (const { context, targets, replayed: about } of replayed(seen)) {
      const offsets = about?.from.map(({ offset }) => offset);
      const expected = [0, context].map((place) => Math.floor(((targets[place] ?? 0) - 100) / 5));
      expect(offsets).toEqual(expected);
    }
  });

  it('replays the share of all rows that it is told, and nothing without a past or a share', async () => {
    const many = batchesOf(Array.from({ length: 190 }, () => 5));
    const items = many.map((batch) => source.item(batch));
    const count = async (options: Partial<ReplayOptions>): Promise<number> =>
      replayed(valuesOf(await run(items, options))).length;
    expect(await count({})).toBe(10);
    expect(await count({ share: 0.2 })).toBe(47);
    expect(await count({ share: 0 })).toBe(0);
    expect(await count({ share: 0, stepsPerBatch: 'auto' })).toBe(0);
    expect(await run([source.spareTick(1)], { stepsPerBatch: 'auto' })).toHaveLength(1);
  });

  it('with auto asks for time to spare, and uses it one batch at a time, so often at most', async () => {
    const own = new TestSource();
    const spare = Array.from({ length: 20 }, (_, at) => own.spareTick(at));
    const flow = [own.item(batchNo(0)), own.tick(0), own.item(batchNo(1)), ...spare];
    const seen = await run(flow, { share: 0, stepsPerBatch: 'auto', mostSpare: 1.5 });
    const kinds = seen.slice(3, 10).map(({ kind }) => kind);
    expect(kinds).toEqual(['item', 'tick', 'item', 'tick', 'item', 'tick', 'tick']);
    expect(replayed(valuesOf(seen))).toHaveLength(3);
    expect(own.requestedSpareTicks).toBe(2 + 2);
    expect(seen.filter(isItem).map(({ isSpare = false }) => isSpare)).toEqual([false, false, true, true, true]);
    expect(own.window.workBytes).toBe(2 * BYTES);
  });

  it('remembers so much at most, and each row of the past as likely as any other', async () => {
    const many = batchesOf(Array.from({ length: 2000 }, () => 5));
    const items = many.map((batch) => source.item(batch));
    // Twenty rows of four tokens.
    const seen = await run([...items, source.barrier()], { memory: 20 * 20, share: 0.5 });
    const kept = JSON.stringify(asStored(lastBasket(seen)).get('replay')?.state);
    expect(JSON.parse(kept).memory.rows).toHaveLength(20);
    const places = replayed(valuesOf(seen)).flatMap(
      ({ replayed: about }) => about?.from.map(({ offset }) => offset) ?? [],
    );
    const last = places.slice(-1000).toSorted((one, other) => one - other);
    expect(new Set(last).size).toBeGreaterThan(20);
    expect(last[0]).toBeLessThan(700);
    expect(last[500]).toBeGreaterThan(300);
    expect(last[500]).toBeLessThan(1700);
  });

  it('goes on behind a cut as if there had been none, wherever it is made', async () => {
    const story = fc.record({
      lengths: fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 30 }),
      spareAt: fc.array(fc.nat({ max: 30 })),
      cut: fc.nat({ max: 60 }),
      options: fc.record({
        share: fc.constantFrom(0, 0.05, 0.4),
        stepsPerBatch: fc.constantFrom(0, 2, 'auto' as const),
        memory: fc.constantFrom(1, 100, 10_000),
      }),
    });
    await fc.assert(
      fc.asyncProperty(story, async ({ lengths, spareAt, cut, options }) => {
        const own = new TestSource();
        const flow = batchesOf(lengths).flatMap((batch, at): Element<TokenBatch>[] =>
          spareAt.includes(at) ? [own.item(batch), own.spareTick(at)] : [own.item(batch)],
        );
        const at = Math.min(cut, flow.length);
        const whole = valuesOf(await run(flow, options));
        const first = await run([...flow.slice(0, at), own.barrier()], options);
        const rest = await run([own.restore(asStored(lastBasket(first))), ...flow.slice(at)], options);
        expect([...valuesOf(first), ...valuesOf(rest)]).toEqual(whole);
        expect(fresh(whole)).toEqual(batchesOf(lengths));
      }),
      { numRuns: 60 },
    );
  });

  it('fits rows that it remembers to batches of another shape', async () => {
    const first = await run([source.item(batchNo(0)), source.barrier()]);
    const wide = { rows: 1, context: 5, ids: new Int32Array(5).fill(END), targets: Int32Array.of(1, 2, 3, 4, END) };
    const batch = { ...wide, lossMask: new Float32Array(5).fill(1), byteCount: 4, spans: [], timestampMs: 9 };
    const flow = [source.restore(asStored(lastBasket(first))), source.item(batch)];
    const again = replayed(valuesOf(await run(flow, { share: 0, stepsPerBatch: 20 })));
    const masks = new Set(again.map(({ lossMask, ids }) => `${ids.length}: ${lossMask.join('')}`));
    expect(masks).toEqual(new Set(['5: 11111', '5: 11100']));
  });

  it('keeps its rows in another vocabulary, and without their places on another log', async () => {
    const state = asStored(lastBasket(await run([source.item(batchNo(0)), source.barrier()]))).get('replay');
    if (!state) throw new Error('It has no state.');
    expect(placesIn(replayKind.forked('replay', state, false))).toEqual([null, null]);
    expect(replayKind.forked('replay', state, true)).toBe(state);
    // Each token is two now.
    const spelled = Array.from({ length: 200 }, (_, token) => (token === END ? [7] : [token, token + 1000]));
    const respelling = { spelled, endOfText: 7, bytes: [], rows: [] };
    const other = replayKind.respelled(state, respelling, {}, { rows: 2, context: 3 });
    const flow = [source.restore({ replay: other }), source.spareTick(1)];
    const before = { ...state, state: { ...JSON.parse(JSON.stringify(other.state)), spareDue: 1 } };
    const again = valuesOf(
      await run([source.restore({ replay: before }), ...flow.slice(1)], { stepsPerBatch: 'auto' }),
    );
    expect([...rowsIn(again).values()].toSorted()).toEqual([
      '1102,103,1103|103,1103,104|1,1,1|',
      '7,100,1100|100,1100,101|1,1,1|',
    ]);
    expect(replayKind.migrationOf({ ...NO_CHANGE, hasOtherTokens: true })?.refused).toBeNull();
    expect(replayKind.migrationOf(NO_CHANGE)).toBeNull();
  });

  it('leaves a batch of the past one when it is spelled anew', () => {
    const plain = { rows: 1, context: 2, ids: [1, 2], targets: [2, 3], lossMask: [1, 1], spans: [], timestampMs: 1 };
    const about = { rows: 1, from: [] };
    const respelling = { spelled: [[0], [1], [2], [3]], endOfText: 0, bytes: [1, 1, 1, 1], rows: [] };
    expect(respellBatch({ ...plain, byteCount: 0, replayed: about }, respelling)).toMatchObject([
      { byteCount: 0, replayed: about },
    ]);
    expect(respellBatch({ ...plain, byteCount: 2 }, respelling)).toMatchObject([{ byteCount: 2 }]);
  });
});

const NO_CHANGE = {
  uid: 'replay',
  snapshot: { state: null },
  from: {},
  to: {},
  model: null,
  hasOtherTokens: false,
};

function lastBasket(seen: readonly Element<unknown>[]): ReadonlyMap<string, Snapshot> {
  const barrier = seen.findLast((element) => element.kind === 'barrier');
  if (barrier?.kind !== 'barrier') throw new Error('There was no barrier.');
  return barrier.basket;
}

function placesIn(snapshot: Snapshot | null): unknown[] {
  const { memory } = JSON.parse(JSON.stringify(snapshot?.state));
  return memory.rows.map(({ at }: { readonly at: unknown }) => at);
}
