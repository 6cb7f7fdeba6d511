import * as fc from 'fast-check';
import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { detokenize } from '../../../operators/detokenize.ts';
import type { TokenDelta } from '../../../operators/types.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';
import { TestSource, promptAt, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';

const source = new TestSource();
const weights = { id: 'w', step: 1 };

function delta(id: string, index: number, bytes: Uint8Array, finish: TokenDelta['finish'] = null): TokenDelta {
  return { id, at: promptAt(id), index, tokens: Int32Array.from(bytes), weights, finish };
}

/** An answer in deltas that are cut anywhere, also within characters. */
function answer(id: string, text: string, cuts: readonly number[]): TokenDelta[] {
  const bytes = Buffer.from(text);
  const borders = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return borders.slice(1).map((to, index) => {
    const isLast = index === borders.length - 2;
    return delta(id, index, bytes.subarray(borders[index], to), isLast ? 'stop' : null);
  });
}

function textDelta({ tokens: _tokens, ...rest }: TokenDelta, text: string): unknown {
  return { event: 'generation', ...rest, text };
}

const [first, second] = [delta('a', 0, Buffer.from('é').subarray(0, 1)), delta('a', 1, Buffer.from('é').subarray(1))];
const elements = {
  a: source.item(first, 1),
  b: source.item(second, 1),
  r: source.restore(),
  t: source.tick(1),
  x: source.barrier(),
};
const expected = {
  ...elements,
  A: source.item(textDelta(first, ''), 1),
  B: source.item(textDelta(second, 'é'), 1),
  C: source.item(textDelta(second, '\uFFFD'), 1),
};

describe('detokenize', () => {
  it('holds a begun character back until it is whole, and lets marks pass', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('ra-txb-|', elements);
      expectObservable(flow.pipe(detokenize(byteTokenizer))).toBe('rA-txB-|', expected);
      expectSubscriptions(flow.subscriptions).toBe('^------!');
    });
  });

  it("passes the source's error on, and lets go of the source when unsubscribed", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const failing = cold('a-#', elements);
      expectObservable(failing.pipe(detokenize(byteTokenizer))).toBe('A-#', expected);
      expectSubscriptions(failing.subscriptions).toBe('^-!');
      const flow = cold('a--b', elements);
      expectObservable(flow.pipe(detokenize(byteTokenizer)), '^-!').toBe('A--', expected);
      expectSubscriptions(flow.subscriptions).toBe('^-!');
    });
  });

  it('gives each subscription characters of its own', () => {
    marbles(({ hot, expectObservable }) => {
      const flow = hot('a--b', elements);
      const output = flow.pipe(detokenize(byteTokenizer));
      expectObservable(output).toBe('A--B', expected);
      expectObservable(output, '-^').toBe('---C', expected);
    });
  });

  it('keeps answers to two prompts of one id apart', async () => {
    const twin = promptAt('b');
    const deltas = [first, { ...first, at: twin }, { ...second, at: twin }, second];
    const output = from(deltas.map((each) => source.item(each))).pipe(detokenize(byteTokenizer), toArray());
    expect(valuesOf(await lastValueFrom(output)).map(({ text }) => text)).toEqual(['', '', 'é', 'é']);
  });

  it('begins an answer anew when its first delta comes again', async () => {
    const again = [first, ...answer('a', 'ok', [])];
    const output = from(again.map((each) => source.item(each))).pipe(detokenize(byteTokenizer), toArray());
    expect(valuesOf(await lastValueFrom(output)).map(({ text }) => text)).toEqual(['', 'ok']);
  });

  it("holds back what may become a stop string of the answer's own, and shows nothing of one", async () => {
    const [begun, ended] = answer('a', 'one. two', [5]);
    const [other, rest] = answer('b', 'one. two', [5]);
    const deltas = [begun && { ...begun, stop: ['. t'] }, other, ended, rest].flatMap((each) => each ?? []);
    const output = from(deltas.map((each) => source.item(each))).pipe(detokenize(byteTokenizer), toArray());
    const seen = valuesOf(await lastValueFrom(output));
    expect(seen.map(({ text }) => text)).toEqual(['one', 'one. ', '', 'two']);
    expect(seen.filter((each) => 'stop' in each)).toEqual([]);
  });

  it('replaces what never becomes a character at the end of the answer', async () => {
    const broken = delta('a', 0, Buffer.from('é').subarray(0, 1), 'length');
    const output = from([source.item(broken)]).pipe(detokenize(byteTokenizer), toArray());
    expect(valuesOf(await lastValueFrom(output)).map(({ text }) => text)).toEqual(['\uFFFD']);
  });

  it('gives back every text, however it is cut and however answers mingle', async () => {
    const answers = fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.array(fc.nat(), { maxLength: 6 })), {
      minLength: 1,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(answers, fc.array(fc.nat()), async (texts, turns) => {
        const queues = texts.map(([text, cuts], at) => answer(String(at), text, cuts));
        const mingled: TokenDelta[] = [];
        for (let turn = 0; ; turn++) {
          const open = queues.filter((queue) => queue.length > 0);
          const next = open[(turns[turn] ?? 0) % open.length]?.shift();
          if (!next) break;
          mingled.push(next);
        }
        const flow = from(mingled.map((each) => source.item(each)));
        const output = valuesOf(await lastValueFrom(flow.pipe(detokenize(byteTokenizer), toArray())));
        const joined = texts.map((_, at) =>
          output
            .filter(({ id }) => id === String(at))
            .map(({ text }) => text)
            .join(''),
        );
        expect(joined).toEqual(texts.map(([text]) => text));
        expect(output.map(({ id, index }) => [id, index])).toEqual(mingled.map(({ id, index }) => [id, index]));
      }),
      { numRuns: 60 },
    );
  });
});
