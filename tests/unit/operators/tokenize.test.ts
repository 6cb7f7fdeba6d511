import * as fc from 'fast-check';
import { Subject, from, lastValueFrom, throwError, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { isItem } from '../../../operators/flow.ts';
import type { Element } from '../../../operators/flow.ts';
import { tokenize } from '../../../operators/tokenize.ts';
import type { Tokenizer } from '../../../operators/ports.ts';
import type { Document } from '../../../operators/types.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';
import { TestSource, valuesOf } from '../../support/elements.ts';
import { Deferred, settle } from '../../support/settle.ts';

const source = new TestSource();

function document(text: string, offset = 0): Document {
  const at = { topic: 'text', partition: 0, offset };
  return { text, byteCount: Buffer.byteLength(text), at, timestampMs: 5 };
}

/** Tokens that stand for one byte, for many and for none. */
const words: Tokenizer = {
  vocabSize: 4,
  endOfText: 3,
  encode: async (text) => Int32Array.from(text.split(' '), (word) => ['a', 'naïve', ''].indexOf(word)),
  decode: (tokens) => Buffer.from(Array.from(tokens, (token) => ['a', 'naïve', '', '<end>'][token]).join('')),
};

describe('tokenize', () => {
  it('emits tokens with the bytes that each stands for, and none for an end of text', async () => {
    const flow = from([source.item(document('a naïve  a', 7), 12)]);
    const [element] = await lastValueFrom(flow.pipe(tokenize(words), toArray()));
    expect(element).toEqual(
      source.item(
        {
          tokens: Int32Array.of(0, 1, 2, 0),
          tokenBytes: Uint16Array.of(1, 6, 0, 1),
          at: { topic: 'text', partition: 0, offset: 7 },
          timestampMs: 5,
        },
        12,
      ),
    );
  });

  it('counts every byte of a text once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme' })), async (texts) => {
        const flow = from(texts.map((text) => source.item(document(text))));
        const output = valuesOf(await lastValueFrom(flow.pipe(tokenize(byteTokenizer), toArray())));
        const bytes = output.map(({ tokenBytes }) => tokenBytes.reduce((sum, each) => sum + each, 0));
        expect(bytes).toEqual(texts.map((text) => Buffer.byteLength(text)));
      }),
      { numRuns: 30 },
    );
  });

  it('keeps items and marks in their order', async () => {
    const flow: Element<Document>[] = [
      source.restore(),
      source.item(document('long text')),
      source.tick(1),
      source.item(document('a')),
      source.barrier(),
    ];
    const output = await lastValueFrom(from(flow).pipe(tokenize(byteTokenizer), toArray()));
    expect(output.map(({ kind }) => kind)).toEqual(flow.map(({ kind }) => kind));
  });

  it('works on as many documents at once as it is told, in their order', async () => {
    const begun: string[] = [];
    const held = new Map<string, Deferred<Int32Array>>();
    const slow: Tokenizer = {
      ...byteTokenizer,
      encode: (text) => {
        begun.push(text);
        const deferred = new Deferred<Int32Array>();
        held.set(text, deferred);
        return deferred.promise;
      },
    };
    const seen: number[] = [];
    const flow = from(['a', 'b', 'c'].map((text, offset) => source.item(document(text, offset))));
    const subscription = flow.pipe(tokenize(slow, { threads: 2 })).subscribe((element) => {
      if (isItem(element)) seen.push(element.value.at.offset);
    });
    expect(begun).toEqual(['a', 'b']);
    held.get('b')?.resolve(Int32Array.of(1));
    await settle();
    expect([begun, seen]).toEqual([['a', 'b'], []]);
    held.get('a')?.resolve(Int32Array.of(0));
    await settle();
    expect([begun, seen]).toEqual([
      ['a', 'b', 'c'],
      [0, 1],
    ]);
    subscription.unsubscribe();
  });

  it("ends with the tokenizer's error and with the source's, and lets go when unsubscribed", async () => {
    const failing = { ...byteTokenizer, encode: () => Promise.reject(new Error('of the tokenizer')) };
    const flow = from([source.item(document('a'))]);
    await expect(lastValueFrom(flow.pipe(tokenize(failing)))).rejects.toThrow('of the tokenizer');
    const broken = throwError(() => new Error('of the source'));
    await expect(lastValueFrom(broken.pipe(tokenize(byteTokenizer)))).rejects.toThrow('of the source');
    const input = new Subject<Element<Document>>();
    const subscription = input.pipe(tokenize(failing)).subscribe();
    input.next(source.item(document('a')));
    subscription.unsubscribe();
    await settle();
    expect(input.observed).toBe(false);
  });
});
