import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeldText } from '../../../operators/held-text.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';

/** What is given out of a text that comes in pieces of bytes, one after the other; the last one is the answer's end. */
function givenOut(pieces: readonly Uint8Array[], stop: readonly string[]): readonly string[] {
  const held = new HeldText(byteTokenizer, stop);
  return pieces.map((bytes, at) => {
    held.add(Int32Array.from(bytes));
    return held.take(at === pieces.length - 1).text;
  });
}

/** The text before the stop string that is complete first, the longest of several. */
function before(text: string, stop: readonly string[]): string {
  for (let end = 1; end <= text.length; end++) {
    const found = stop.filter((each) => text.slice(0, end).endsWith(each)).map(({ length }) => length);
    if (found.length > 0) return text.slice(0, end - Math.max(...found));
  }
  return text;
}

const piecesOf = (...texts: readonly string[]): readonly Uint8Array[] => texts.map((text) => Buffer.from(text));

describe('HeldText', () => {
  it.each([
    ['holds back what may become a stop string', ['a', '\nE', 'X', ''], ['\nEND'], ['a', '', '\nEX', '']],
    ['gives out nothing of a stop string, nor behind it', ['one\nE', 'ND', 'two'], ['\nEND'], ['one', '', '']],
    ['gives out at the end what never became one', ['one\nEN'], ['\nEND'], ['one\nEN']],
    ['ends at the one that is complete first', ['abcd'], ['abcd', 'bc'], ['a']],
    ['ends before the longest of those that are complete at once', ['abc'], ['bc', 'abc'], ['']],
    ['gives out all without stop strings', ['a', 'b'], [], ['a', 'b']],
  ])('%s', (_, texts, stop, given) => {
    expect(givenOut(piecesOf(...texts), stop)).toEqual(given);
  });

  it('says that it has stopped, and counts what it holds', () => {
    const held = new HeldText(byteTokenizer, ['ab']);
    held.add(Int32Array.from(Buffer.from('xa')));
    expect([held.take(false), held.heldLength]).toEqual([{ text: 'x', isStopped: false }, 1]);
    held.add(Int32Array.from(Buffer.from('bc')));
    expect(held.take(false)).toEqual({ text: '', isStopped: true });
    expect(held.take(true)).toEqual({ text: '', isStopped: true });
  });

  it('gives out the same however the text is cut, also within characters', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '☃'), maxLength: 24 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'é'), minLength: 1, maxLength: 4 }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(text, stops, fc.array(fc.nat(), { maxLength: 8 }), (whole, stop, cuts) => {
        const bytes = Buffer.from(whole);
        const borders = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
        const pieces = borders.slice(1).map((to, at) => bytes.subarray(borders[at], to));
        expect(givenOut(pieces, stop).join('')).toBe(before(whole, stop));
      }),
      { numRuns: 300 },
    );
  });
});
