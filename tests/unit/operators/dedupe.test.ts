import * as fc from 'fast-check';
import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { dedupe } from '../../../operators/dedupe.ts';
import type { DedupeOptions } from '../../../operators/dedupe.ts';
import {
  SIGNATURE_BYTES,
  candidateProbability,
  rowsFor,
  signatureOf,
  similarity,
} from '../../../operators/deduplication/min-hash.ts';
import { mix, shinglesOf } from '../../../operators/deduplication/shingles.ts';
import type { Element } from '../../../operators/flow.ts';
import type { Document } from '../../../operators/types.ts';
import { TestSource, asStored, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';
import { randomFrom } from '../../support/random.ts';

const source = new TestSource();

function document(text: string, offset = 1): Document {
  return { text, byteCount: Buffer.byteLength(text), at: { topic: 'text', partition: 0, offset }, timestampMs: 5 };
}

function wordsOf(random: () => number, count: number): string[] {
  return Array.from({ length: count }, () => `w${Math.floor(random() * 5000)}`);
}

/** The share that two texts have in common of their runs of words, counted out. */
function jaccard(one: string, other: string, size: number): number {
  const shingles = (text: string): ReadonlySet<string> => {
    const words = text.split(' ');
    return new Set(words.slice(size - 1).map((_, at) => words.slice(at, at + size).join(' ')));
  };
  const [a, b] = [shingles(one), shingles(other)];
  const common = [...a].filter((shingle) => b.has(shingle)).length;
  return common / (a.size + b.size - common);
}

async function kept(texts: readonly string[], options: DedupeOptions = {}): Promise<string[]> {
  const flow = from(texts.map((text, offset) => source.item(document(text, offset)))).pipe(dedupe(options), toArray());
  return valuesOf(await lastValueFrom(flow)).map(({ text }) => text);
}

function counted(own: object): object {
  return { counts: { dedupe: own } };
}

/** The state of a cut behind so many documents, as it is stored. */
async function stateAfter(count: number, options: DedupeOptions): Promise<string> {
  const barrier = source.barrier();
  const random = randomFrom(3);
  const items = Array.from({ length: count }, () => source.item(document(wordsOf(random, 30).join(' '))));
  await lastValueFrom(from([...items, barrier]).pipe(dedupe(options), toArray()));
  return JSON.stringify(barrier.basket.get('dedupe')?.state);
}

describe('shingles', () => {
  it('are the same whatever the case, and whatever stands between words', () => {
    const plain = shinglesOf('the quick brown fox jumps over', 3);
    expect(plain).toHaveLength(4);
    expect(shinglesOf('"The QUICK, brown\n\n(fox) – jumps... over!"', 3)).toEqual(plain);
    expect(shinglesOf('the quick brown fox jumped over', 3)).not.toEqual(plain);
    expect(shinglesOf('Ärger im Café', 5)).toHaveLength(1);
    expect(shinglesOf('– … !', 5)).toHaveLength(0);
  });
});

describe('signatures', () => {
  it('estimate the Jaccard similarity: without bias, and as closely as so many bytes can', () => {
    const random = randomFrom(7);
    for (const wanted of [0, 0.2, 0.5, 0.8, 0.95, 1]) {
      const errors = Array.from({ length: 150 }, () => {
        const size = 200;
        const common = Math.round((2 * size * wanted) / (1 + wanted));
        const set = (): Int32Array => Int32Array.from({ length: size }, () => mix(Math.floor(random() * 2 ** 32)));
        const [one, other] = [set(), set()];
        other.set(one.subarray(0, common));
        const truth = common / (2 * size - common);
        return similarity(signatureOf(one), signatureOf(other)) - truth;
      });
      const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
      const deviation = Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0) / errors.length);
      // Binomial, of 128 bytes that agree with about that probability; five standard errors of the mean.
      const expected = Math.sqrt(Math.max(wanted * (1 - wanted), 1 / 256) / SIGNATURE_BYTES);
      expect(Math.abs(mean), `bias at ${wanted}`).toBeLessThan((5 * expected) / Math.sqrt(errors.length) + 0.003);
      expect(deviation, `deviation at ${wanted}`).toBeLessThan(1.5 * expected);
    }
  });

  it('have as many rows in a band as find a pair at the threshold with 95 %', () => {
    for (const threshold of [0.3, 0.5, 0.7, 0.8, 0.9, 0.95]) {
      const rows = rowsFor(threshold);
      expect(candidateProbability(threshold, rows)).toBeGreaterThanOrEqual(0.95);
      expect(candidateProbability(threshold, rows + 1)).toBeLessThan(0.95);
    }
    // Counted out: 18 bands of 7 rows at 0.8.
    expect(rowsFor(0.8)).toBe(7);
    expect(candidateProbability(0.8, 7)).toBeCloseTo(1 - (1 - 0.8 ** 7) ** 18, 12);
    expect(rowsFor(1)).toBe(SIGNATURE_BYTES);
  });
});

describe('near duplicates', () => {
  it('are found, and others are not, but for those close to the threshold', async () => {
    const seed = 11;
    const random = randomFrom(seed);
    let [found, near, dropped, far] = [0, 0, 0, 0];
    const clear: { readonly pair: number; readonly truth: number; readonly isDropped: boolean }[] = [];
    for (let pair = 0; pair < 400; pair++) {
      const words = wordsOf(random, 150);
      const changes = Math.floor(random() * 12);
      const changed = [...words];
      for (let change = 0; change < changes; change++) changed[Math.floor(random() * words.length)] = `new${change}`;
      const [one, other] = [words.join(' '), `${changed.join('  ')}.`];
      const truth = jaccard(one, other.slice(0, -1).replaceAll('  ', ' '), 5);
      const isDropped = (await kept([one, other], { near: 0.7 })).length === 1;
      if (truth >= 0.7) near += 1;
      else far += 1;
      if (isDropped) dropped += 1;
      if (isDropped && truth >= 0.7) found += 1;
      // Four standard deviations beside the threshold there is nothing to be in doubt about.
      if (truth > 0.86 || truth < 0.54) clear.push({ pair, truth, isDropped });
    }
    console.log(`seed ${seed}: recall ${(found / near).toFixed(3)}, precision ${(found / dropped).toFixed(3)} at 0.7`);
    expect(clear.length).toBeGreaterThan(100);
    expect(clear.filter(({ truth, isDropped }) => isDropped !== truth > 0.7)).toEqual([]);
    expect(near).toBeGreaterThan(100);
    expect(far).toBeGreaterThan(100);
    expect(found / near).toBeGreaterThan(0.85);
    expect(found / dropped).toBeGreaterThan(0.85);
  });

  it('of no words are only themselves', async () => {
    expect(await kept(['!!!', '???', '!!!', '…'])).toEqual(['!!!', '???', '…']);
  });
});

describe('dedupe', () => {
  const a = 'one two three four five six';
  const all: Record<string, Element<Document>> = {
    a: source.item(document(a), 27),
    A: source.item(document('One, two: three! Four five six.'), 31),
    z: source.item(document('quite another text that is not like it'), 38),
    r: source.restore(),
    t: source.tick(1),
  };

  it('emits what is new, drops what is not, and lets marks pass with what was counted', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const two = { kept: { documents: 2 }, dropped: { exact: 1, near: 1 } };
      const expected = {
        ...all,
        a: { ...all['a'], ...counted({ kept: { documents: 1 } }) },
        z: { ...all['z'], ...counted({ kept: { documents: 2 }, dropped: { exact: 1, near: 1 } }) },
        t: { ...all['t'], ...counted(two) },
      };
      const flow = cold('                           raaAzt-|', all);
      expectObservable(flow.pipe(dedupe())).toBe('  ra--zt-|', expected);
      expectSubscriptions(flow.subscriptions).toBe('^------!');
      expectObservable(cold('a-#', all).pipe(dedupe())).toBe('a-#', expected);
      const endless = cold('a--a', all);
      expectObservable(endless.pipe(dedupe()), '^-!').toBe('a--', expected);
      expectSubscriptions(endless.subscriptions).toBe('^-!');
    });
  });

  it('drops only the very same text where near is off', async () => {
    expect(await kept([a, `${a}.`, a], { near: false })).toEqual([a, `${a}.`]);
  });

  const texts = fc.array(fc.constantFrom('a b c', 'A, b c', 'a b d', 'x', 'X!', 'y z', '?', '!'), { maxLength: 25 });
  const someMemory = fc.integer({ min: 1, max: 5 });

  it('remembers so many documents that it has kept, and forgets the oldest first', async () => {
    await fc.assert(
      fc.asyncProperty(texts, someMemory, async (list, memory) => {
        const wanted: string[] = [];
        for (const text of list) if (!wanted.slice(-memory).includes(text)) wanted.push(text);
        expect(await kept(list, { near: false, memory })).toEqual(wanted);
      }),
    );
  });

  it('goes on from a cut at any place, to the bit', async () => {
    await fc.assert(
      fc.asyncProperty(texts, someMemory, fc.nat(), async (list, memory, cut) => {
        const operator = dedupe({ near: 0.6, shingle: 2, memory });
        const flow: Element<Document>[] = [...list.map((text, at) => source.item(document(text, at))), source.tick(1)];
        const place = cut % (flow.length + 1);
        const barrier = source.barrier();
        const end = source.barrier();
        const wholeEnd = source.barrier();
        const whole = await lastValueFrom(from([...flow, wholeEnd]).pipe(operator, toArray()));
        const before = await lastValueFrom(from([...flow.slice(0, place), barrier]).pipe(operator, toArray()));
        const restored = from([source.restore(asStored(barrier.basket)), ...flow.slice(place), end]);
        const after = await lastValueFrom(restored.pipe(operator, toArray()));
        expect([...before.slice(0, -1), ...after.slice(1, -1)]).toEqual(whole.slice(0, -1));
        expect([...end.basket]).toEqual([...wholeEnd.basket]);
      }),
    );
  });

  it('keeps what it can of what it remembers under other settings', async () => {
    const after = async (options: DedupeOptions, ...next: string[]): Promise<string[]> => {
      const barrier = source.barrier();
      const first = from([source.item(document(a)), source.item(document('y')), barrier]);
      await lastValueFrom(first.pipe(dedupe(), toArray()));
      const flow = [source.restore(asStored(barrier.basket)), ...next.map((text) => source.item(document(text)))];
      return valuesOf(await lastValueFrom(from(flow).pipe(dedupe(options), toArray()))).map(({ text }) => text);
    };
    const near = `${a}!`;
    expect(await after({ memory: 50 }, a, near, 'y')).toEqual([]);
    expect(await after({ near: false }, a, near, 'y')).toEqual([near]);
    expect(await after({ shingle: 3 }, a, near, 'y')).toEqual([near]);
    expect(await after({ memory: 1 }, 'y', a)).toEqual([a]);
  });

  it('has a state of 144 bytes a document, and as many documents as the size allows that it is given', async () => {
    const some = await stateAfter(100, {});
    expect(some.length).toBeLessThan((144 * 100 * 4) / 3 + 200);
    const full = await stateAfter(1000, { memory: '14KB' });
    expect(full.length).toBeLessThan((14 * 1024 * 4) / 3 + 200);
    expect((await stateAfter(3000, { memory: '14KB' })).length).toBe(full.length);
  });
});
