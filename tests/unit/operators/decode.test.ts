import * as fc from 'fast-check';
import { Subject, from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../operators/decode.ts';
import { MillraceError } from '../../../operators/errors.ts';
import { jsonFormat, textFormat } from '../../../operators/formats.ts';
import type { TopicFormat } from '../../../operators/formats.ts';
import type { Element } from '../../../operators/flow.ts';
import type { LogRecord } from '../../../operators/types.ts';
import { TestSource, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';
import { MemoryDeadLetters, deadLettersThatFail } from '../../support/memory-stores.ts';
import { settle } from '../../support/settle.ts';

const source = new TestSource();

function record(offset: number, value: Uint8Array | null): LogRecord {
  const key = Buffer.from('k');
  return { topic: 'text', partition: 1, offset, key, value, headers: {}, timestampMs: 1000 + offset };
}

const a = record(1, Buffer.from('naïve'));
const elements = {
  a: source.item(a, 7),
  r: source.restore(),
  t: source.tick(1),
  b: source.barrier(),
};
const expected = {
  ...elements,
  A: source.item(
    { text: 'naïve', byteCount: 6, at: { topic: 'text', partition: 1, offset: 1 }, key: 'k', timestampMs: 1001 },
    7,
  ),
};

describe('decode', () => {
  it('emits a document per record of text, under its bytes, and lets marks pass', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('   ra-tb-|', elements);
      const output = flow.pipe(decode({ deadLetters: deadLettersThatFail }));
      expectObservable(output).toBe('rA-tb-|', expected);
      expectSubscriptions(flow.subscriptions).toBe('^-----!');
    });
  });

  it("passes the source's error on, and lets go of the source when unsubscribed", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const failing = cold('a-#', elements);
      expectObservable(failing.pipe(decode({ deadLetters: deadLettersThatFail }))).toBe('A-#', expected);
      expectSubscriptions(failing.subscriptions).toBe('^-!');
      const flow = cold('a--a', elements);
      expectObservable(flow.pipe(decode({ deadLetters: deadLettersThatFail })), '^-!').toBe('A--', expected);
      expectSubscriptions(flow.subscriptions).toBe('^-!');
    });
  });

  it.each([
    ['record-empty', null],
    ['record-empty', new Uint8Array()],
    ['document-too-large', Buffer.alloc(11, 'x')],
    ['record-not-utf8', Uint8Array.of(0xc3)],
    ['record-not-utf8', Uint8Array.of(0x61, 0xed, 0xa0, 0x80)],
  ])('puts a %s to the dead letters with its coordinates, and goes on behind it', async (code, value) => {
    const local = new TestSource();
    const deadLetters = new MemoryDeadLetters();
    const flow = from([local.taken(record(4, value), 5), local.taken(a, 7)]);
    const output = await lastValueFrom(flow.pipe(decode({ deadLetters, maxBytes: 10 }), toArray()));
    expect(valuesOf(output)).toEqual([expected.A.value]);
    expect(deadLetters.letters).toEqual([
      expect.objectContaining({ at: { topic: 'text', partition: 1, offset: 4 }, code, key: Buffer.from('k'), value }),
    ]);
    expect(local.window.inFlightBytes).toBe(7);
  });

  it.each([
    [jsonFormat(), '{"text": "naïve"}', 'naïve'],
    [jsonFormat('a.0.b'), '\uFEFF {"a": [{"b": "naïve", "c": 1}]}', 'naïve'],
    [jsonFormat(), '{"text": "naïve"', 'record-not-json'],
    [jsonFormat(), Buffer.of(0x22, 0xff, 0x22), 'record-not-utf8'],
    [jsonFormat(), '{"text": "half \\ud800"}', 'record-not-utf8'],
    [jsonFormat(), '{"text": ""}', 'record-empty'],
    [jsonFormat(), '"naïve"', 'field-missing'],
    [jsonFormat(), '{"text": null}', 'field-missing'],
    [jsonFormat('a.b'), '{"a": {"c": "naïve"}}', 'field-missing'],
    [jsonFormat('a.toString'), '{"a": {}}', 'field-missing'],
    [textFormat, '{"text": "naïve"}', '{"text": "naïve"}'],
  ])('reads a value in the format of its topic (case %#)', async (format, value, outcome) => {
    const deadLetters = new MemoryDeadLetters();
    const flow = from([source.item(record(3, Buffer.from(value)))]);
    const output = await lastValueFrom(flow.pipe(decode({ deadLetters, formats: { of: () => format } }), toArray()));
    const found = [
      ...valuesOf(output).map(({ text, byteCount }) => ({ text, byteCount })),
      ...deadLetters.letters.map(({ code }) => code),
    ];
    const isPoison = /^(record|field)-/.test(outcome);
    expect(found).toEqual([isPoison ? outcome : { text: outcome, byteCount: Buffer.byteLength(outcome) }]);
  });

  it('ends without advancing when a format lacks something that may be there later', async () => {
    const away = new MillraceError('broker-unreachable', 'Nobody answers.');
    const format: TopicFormat = { ...textFormat, read: () => Promise.reject(away) };
    const deadLetters = new MemoryDeadLetters();
    const flow = from([elements.a]).pipe(decode({ deadLetters, formats: { of: () => format } }));
    await expect(lastValueFrom(flow)).rejects.toBe(away);
    expect(deadLetters.letters).toEqual([]);
  });

  it('ends without advancing when the dead letter cannot be written', async () => {
    const seen: unknown[] = [];
    const input = new Subject<Element<LogRecord>>();
    input.pipe(decode({ deadLetters: deadLettersThatFail })).subscribe({
      next: (element) => seen.push(element),
      error: (error: unknown) => seen.push(error),
    });
    input.next(source.item(record(1, null)));
    input.next(elements.a);
    await settle();
    expect(seen).toEqual([expect.objectContaining({ code: 'dead-letter-failed' })]);
    expect(input.observed).toBe(false);
  });

  it('gives back every text as it was, byte order marks included', async () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(texts, async (some) => {
        const all = ['\uFEFFmarked', ...some];
        const flow = from(all.map((text, offset) => source.item(record(offset, Buffer.from(text)))));
        const output = await lastValueFrom(flow.pipe(decode({ deadLetters: deadLettersThatFail }), toArray()));
        expect(valuesOf(output).map(({ text }) => text)).toEqual(all);
        expect(valuesOf(output).map(({ byteCount }) => byteCount)).toEqual(all.map((text) => Buffer.byteLength(text)));
      }),
      { numRuns: 30 },
    );
  });
});
