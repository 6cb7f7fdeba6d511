import * as fc from 'fast-check';
import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { batch } from '../../../operators/batch.ts';
import type { BatchOptions } from '../../../operators/batch.ts';
import type { Element } from '../../../operators/flow.ts';
import { isItem } from '../../../operators/flow.ts';
import { packedBytes } from '../../../operators/packer.ts';
import type { Span, TokenBatch, TokenizedDocument } from '../../../operators/types.ts';
import { TestSource, asStored, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';

const END = 99;
const shape = { rows: 2, context: 2, endOfText: END };
const source = new TestSource();

interface Text {
  readonly tokens: readonly number[];
  readonly mask?: readonly number[];
}

function document({ tokens, mask }: Text, offset: number, partition = 0): TokenizedDocument {
  return {
    tokens: Int32Array.from(tokens),
    tokenBytes: Uint16Array.from(tokens, (token) => (token % 3) + 1),
    ...(mask ? { lossMask: Float32Array.from(tokens, (_, at) => mask[at % mask.length] ?? 1) } : {}),
    at: { topic: 'text', partition, offset },
    timestampMs: 100 + offset,
  };
}

const a = source.item(document({ tokens: [1, 2] }, 0));
const b = source.item(document({ tokens: [3, 4, 5] }, 1));
const span = (from: number, to: number): Span => ({ topic: 'text', partition: 0, from, to });
/** A piece of document `b`. */
const pieceOfB = { at: { topic: 'text', partition: 0, offset: 1 }, timestampMs: 101 };
const firstBatch: TokenBatch = {
  rows: 2,
  context: 2,
  ids: Int32Array.of(END, 1, 2, END),
  targets: Int32Array.of(1, 2, END, 3),
  lossMask: Float32Array.of(1, 1, 1, 1),
  byteCount: 2 + 3 + 0 + 1,
  spans: [span(0, 2)],
  pieces: [
    {
      at: { topic: 'text', partition: 0, offset: 0 },
      timestampMs: 100,
      from: 0,
      to: 3,
      bytes: 5,
      begins: true,
      ends: true,
    },
    { ...pieceOfB, from: 3, to: 4, bytes: 1, begins: true, ends: false },
  ],
  timestampMs: 101,
};
/** What is left of `a` and `b`, closed because it waited. */
const restBatch: TokenBatch = {
  rows: 2,
  context: 2,
  ids: Int32Array.of(3, 4, 5, END),
  targets: Int32Array.of(4, 5, END, END),
  lossMask: Float32Array.of(1, 1, 1, 0),
  byteCount: 2 + 3,
  spans: [span(1, 2)],
  pieces: [{ ...pieceOfB, from: 0, to: 3, bytes: 5, begins: false, ends: true }],
  timestampMs: 101,
};
const elements = { a, b, r: source.restore(), s: source.tick(1000), t: source.tick(1400), u: source.tick(1500) };
const expected = {
  ...elements,
  X: source.item(firstBatch, packedBytes(firstBatch)),
  Y: source.item(restBatch, packedBytes(restBatch)),
};

describe('batch', () => {
  it('packs documents with an end of text between, and lets marks pass', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('   ra-sb-|', elements);
      expectObservable(flow.pipe(batch(shape))).toBe('r--sX-|', expected);
      expectSubscriptions(flow.subscriptions).toBe('^-----!');
    });
  });

  it('closes a begun batch that has waited by the ticks, filled up with what does not count', () => {
    marbles(({ cold, expectObservable }) => {
      const flow = cold('ab--s-t-u---u-|', elements);
      expectObservable(flow.pipe(batch({ ...shape, maxWait: '500ms' }))).toBe('-X--s-t-(Yu)u-|', expected);
      expectObservable(flow.pipe(batch(shape))).toBe('-X--s-t-u---u-|', expected);
    });
  });

  it("passes the source's error on, and lets go of the source when unsubscribed", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const failing = cold('ab-#', elements);
      expectObservable(failing.pipe(batch(shape))).toBe('-X-#', expected);
      expectSubscriptions(failing.subscriptions).toBe('^--!');
      const flow = cold('ab---a', elements);
      expectObservable(flow.pipe(batch(shape)), '^--!').toBe('-X--', expected);
      expectSubscriptions(flow.subscriptions).toBe('^--!');
    });
  });

  it('gives each subscription a batch of its own', () => {
    marbles(({ cold, expectObservable }) => {
      const output = cold('ab|', elements).pipe(batch(shape));
      expectObservable(output).toBe('-X|', expected);
      expectObservable(output, '---^').toBe('----X|', expected);
    });
  });

  it('goes on where the snapshot was taken, also with the waiting', () => {
    const waiting = batch({ ...shape, uid: 'pack', maxWait: '500ms' });
    const barrier = source.barrier();
    from([a, b, elements.s, barrier]).pipe(waiting).subscribe();
    marbles(({ cold, expectObservable }) => {
      const values = { ...expected, r: source.restore(asStored(barrier.basket)) };
      expectObservable(cold<Element<TokenizedDocument>>('rt(u|)', { ...elements, r: values.r }).pipe(waiting)).toBe(
        'rt(Yu|)',
        values,
      );
    });
  });

  it.each([
    ['junk', 'junk'],
    ['a batch of another shape', null],
  ])('refuses %s as its state', async (_, junk) => {
    const barrier = source.barrier();
    from([source.item(document({ tokens: [1, 2, 3, 4, 5] }, 0)), barrier])
      .pipe(batch({ ...shape, rows: 4 }))
      .subscribe();
    const states = junk === null ? asStored(barrier.basket) : { batch: { state: junk } };
    const flow = from([source.restore(states)]);
    await expect(lastValueFrom(flow.pipe(batch(shape)))).rejects.toMatchObject({ code: 'state-invalid' });
  });

  it('ends at once when the wait is no duration', () => {
    expect(() => Reflect.apply(batch, undefined, [{ ...shape, maxWait: 'soon' }])).toThrow(/soon/);
  });
});

const someText = fc.record(
  {
    tokens: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 12 }),
    mask: fc.array(fc.constantFrom(0, 1), { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: ['tokens'] },
);
const someShape = fc.record({
  rows: fc.integer({ min: 1, max: 3 }),
  context: fc.integer({ min: 1, max: 4 }),
  isolate: fc.boolean(),
});

describe('batches', () => {
  it('hold every token and every end of text as a target exactly once, in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(someText), someShape, async (texts, some) => {
        const documents = texts.map((text, at) => document(text, at));
        const batches = await allBatches(documents, { ...some, endOfText: END });
        const stream = documents.flatMap(({ tokens }) => [...tokens, END]);
        const targets = batches.flatMap((each) => [...each.targets]);
        const ids = batches.flatMap((each) => [...each.ids]);
        expect(targets.slice(0, stream.length)).toEqual(stream);
        expect(ids.slice(0, stream.length)).toEqual([END, ...stream.slice(0, -1)].slice(0, stream.length));
        expect(targets.slice(stream.length).every((token) => token === END)).toBe(true);
      }),
    );
  });

  it('carry the loss mask, and count the bytes of what is learnt', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(someText), someShape, async (texts, some) => {
        const documents = texts.map((text, at) => document(text, at));
        const batches = await allBatches(documents, { ...some, endOfText: END });
        const mask = documents.flatMap(({ tokens, lossMask }) => [...(lossMask ?? tokens.map(() => 1)), 1]);
        const bytes = documents.flatMap(({ tokenBytes }) => [...tokenBytes, 0]);
        const found = batches.flatMap(({ lossMask }) => [...lossMask]);
        expect(found.slice(0, mask.length)).toEqual(mask);
        expect(found.slice(mask.length).every((counts) => counts === 0)).toBe(true);
        const learnt = bytes.reduce((sum, each, at) => sum + (mask[at] === 1 ? each : 0), 0);
        expect(batches.reduce((sum, { byteCount }) => sum + byteCount, 0)).toBe(learnt);
      }),
    );
  });

  it('say which targets are of which document, and the bytes of each part', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(someText), someShape, async (texts, some) => {
        const documents = texts.map((text, at) => document(text, at));
        const batches = await allBatches(documents, { ...some, endOfText: END });
        const parts = documents.map((): number[] => []);
        for (const { targets, pieces = [], byteCount } of batches) {
          expect(pieces[0]?.from).toBe(0);
          for (const [index, { at, from, to, begins, ends }] of pieces.entries()) {
            expect(from).toBe(pieces[index - 1]?.to ?? 0);
            const part = parts[at.offset] ?? [];
            expect(begins).toBe(part.length === 0);
            part.push(...targets.subarray(from, to));
            expect(ends).toBe(part.length === (documents[at.offset]?.tokens.length ?? NaN) + 1);
          }
          expect(pieces.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(byteCount);
        }
        expect(parts).toEqual(documents.map(({ tokens }) => [...tokens, END]));
      }),
    );
  });

  it('name the records of their targets, and the newest time among them', async () => {
    const placed = fc.array(fc.tuple(someText, fc.integer({ min: 0, max: 1 }), fc.integer({ min: 1, max: 2 })));
    await fc.assert(
      fc.asyncProperty(placed, someShape, async (texts, some) => {
        const next = [0, 0];
        const documents = texts.map(([text, partition, step]) => {
          const offset = (next[partition] ?? 0) + step - 1;
          next[partition] = offset + 1;
          return document(text, offset, partition);
        });
        const origins = documents.flatMap((each) => [...each.tokens, END].map(() => each));
        const size = some.rows * some.context;
        const batches = await allBatches(documents, { ...some, endOfText: END });
        for (const [at, { spans, timestampMs }] of batches.entries()) {
          const within = origins.slice(at * size, (at + 1) * size);
          const records = within.map((each) => `${each.at.partition}/${each.at.offset}`);
          const named = spans.flatMap(({ partition, from, to }) =>
            Array.from({ length: to - from }, (_, above) => `${partition}/${from + above}`),
          );
          expect(named).toEqual([...new Set(records)]);
          expect(timestampMs).toBe(Math.max(...within.map((each) => each.timestampMs)));
        }
      }),
    );
  });

  it('number their documents when isolated: apart from one another, and from what fills up', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(someText, { minLength: 1 }), someShape, async (texts, some) => {
        const documents = texts.map((text, at) => document(text, at));
        const batches = await allBatches(documents, { ...some, isolate: true, endOfText: END });
        const origins = documents.flatMap(({ tokens, at }) => [...tokens, END].map(() => at.offset));
        const size = some.rows * some.context;
        for (const [at, { segments = new Int32Array() }] of batches.entries()) {
          expect(segments).toHaveLength(size);
          expect(segments[0]).toBeLessThanOrEqual(1);
          for (let place = 1; place < size; place++) {
            const [before, here] = [origins[at * size + place - 1], origins[at * size + place]];
            const [segmentBefore = NaN, segment = NaN] = segments.subarray(place - 1, place + 1);
            expect(Math.sign(segment - segmentBefore)).toBe(before === here ? 0 : 1);
          }
        }
      }),
    );
  });

  it('are the same when the work is cut at any place and gone on with elsewhere', async () => {
    const moments = fc.array(fc.oneof({ weight: 3, arbitrary: someText }, fc.constant('tick' as const)), {
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(moments, fc.nat(), someShape, async (all, cut, some) => {
        const operator = batch({ ...some, endOfText: END, maxWait: 2000 });
        const flow = all.map((moment, at): Element<TokenizedDocument> => {
          return moment === 'tick' ? source.tick(at * 1000) : source.item(document(moment, at));
        });
        const place = cut % (flow.length + 1);
        const barrier = source.barrier();
        const whole = await lastValueFrom(from(flow).pipe(operator, toArray()));
        const before = await lastValueFrom(from([...flow.slice(0, place), barrier]).pipe(operator, toArray()));
        const restore = source.restore(asStored(barrier.basket));
        const after = await lastValueFrom(from([restore, ...flow.slice(place)]).pipe(operator, toArray()));
        expect([...before.slice(0, -1), ...after.slice(1)]).toEqual(whole);
      }),
    );
  });

  it('take their bytes from the window, and documents give theirs back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(someText), someShape, async (texts, some) => {
        const local = new TestSource();
        const flow = from(texts.map((text, at) => local.taken(document(text, at), text.tokens.length)));
        const output = await lastValueFrom(flow.pipe(batch({ ...some, endOfText: END }), toArray()));
        const taken = output.filter(isItem).reduce((sum, { bytes, value }) => {
          expect(bytes).toBe(packedBytes(value));
          return sum + bytes;
        }, 0);
        expect(local.window.inFlightBytes).toBe(taken);
      }),
    );
  });
});

/** The batches of the documents, the last one closed by ticks. */
async function allBatches(documents: readonly TokenizedDocument[], options: BatchOptions): Promise<TokenBatch[]> {
  const flow: Element<TokenizedDocument>[] = [...documents.map((each) => source.item(each)), source.tick(1)];
  return valuesOf(await lastValueFrom(from(flow).pipe(batch({ ...options, maxWait: 0 }), toArray())));
}
