import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Splitter, valuesOf } from '../../pipelines/topics/split.ts';
import type { SplitBy } from '../../pipelines/topics/split.ts';

const UNITS: readonly SplitBy[] = ['line', 'paragraph', 'file'];

/** Text in which line ends, blank lines and characters of several bytes are frequent. */
const someText = fc
  .array(fc.constantFrom('\n', '\r\n', '\r', '\n\n', ' \t\n', ' ', 'a', 'word', 'é', '国会', '🏛', '\u2028', '\u0085'))
  .map((parts) => parts.join(''));
const someBytes = fc.oneof(
  someText.map((text) => Buffer.from(text)),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
);
const someCuts = fc.array(fc.nat({ max: 200 }));

describe('the splitter', () => {
  it('gives pieces that are the input again when joined, wherever the chunks end', () => {
    fc.assert(
      fc.property(fc.constantFrom(...UNITS), someBytes, someCuts, (by, bytes, cuts) => {
        const pieces = piecesOf(chunked(bytes, cuts), by);
        expect(Buffer.concat(pieces)).toEqual(bytes);
        expect(pieces).toEqual(piecesOf([bytes], by));
      }),
    );
  });

  it('never cuts within a character', () => {
    fc.assert(
      fc.property(fc.constantFrom(...UNITS), someText, someCuts, (by, text, cuts) => {
        const pieces = piecesOf(chunked(Buffer.from(text), cuts), by);
        expect(pieces.map((piece) => piece.toString()).join('')).toBe(text);
      }),
    );
  });

  it('leaves one line in each value, with no line end', () => {
    fc.assert(
      fc.property(someText, someCuts, (text, cuts) => {
        const lines = valuesIn(chunked(Buffer.from(text), cuts), 'line');
        const expected = text.split(/\r?\n/);
        // What follows the last line end is a line only when there is something.
        if (expected.at(-1) === '') expected.pop();
        expect(lines).toEqual(expected);
      }),
    );
  });

  it('leaves no blank line in a paragraph, and no paragraph empty', () => {
    fc.assert(
      fc.property(someText, (text) => {
        const paragraphs = valuesIn([Buffer.from(text)], 'paragraph');
        for (const paragraph of paragraphs) {
          for (const line of paragraph.split('\n')) expect(line).toMatch(/[^ \t\r\v\f]/);
        }
        expect(withoutBlanks(paragraphs.join(''))).toBe(withoutBlanks(text));
      }),
    );
  });

  it.each<[SplitBy, string, string[]]>([
    ['line', 'a\r\n\r\nb\nc', ['a', '', 'b', 'c']],
    ['line', '', []],
    ['line', '\n', ['']],
    ['paragraph', '\n\n  first\nline\n \n\nsecond\r\n\r\nthird\n\n\n', ['  first\nline', 'second', 'third']],
    ['paragraph', ' \n\n', []],
    ['file', 'a\n\nb\n', ['a\n\nb\n']],
    ['file', '', ['']],
  ])('splits by %s: %j', (by, text, expected) => {
    expect(valuesIn([Buffer.from(text)], by)).toEqual(expected);
  });

  it('gives a paragraph as soon as a blank line has come', () => {
    const splitter = new Splitter('paragraph');
    expect([...splitter.push(Buffer.from('a\n'))]).toHaveLength(0);
    expect([...splitter.push(Buffer.from('\n'))]).toHaveLength(1);
  });

  it.each(UNITS)('refuses a %s beyond the limit before it is whole', (by) => {
    const splitter = new Splitter(by, 10);
    expect([...splitter.push(Buffer.from('123456'))]).toHaveLength(0);
    expect(() => [...splitter.push(Buffer.from('78901'))]).toThrow(/longer than a record may be \(10 B\)/);
  });
});

function piecesOf(chunks: readonly Buffer[], by: SplitBy): Buffer[] {
  const splitter = new Splitter(by);
  const pieces = chunks.flatMap((chunk) => [...splitter.push(chunk)]);
  return [...pieces, ...splitter.end()].map((piece) => Buffer.from(piece));
}

function valuesIn(chunks: readonly Buffer[], by: SplitBy): string[] {
  return [...valuesOf(piecesOf(chunks, by), by)].map((value) => Buffer.from(value).toString());
}

function chunked(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let rest = bytes;
  for (const cut of cuts) {
    chunks.push(rest.subarray(0, cut));
    rest = rest.subarray(cut);
  }
  return [...chunks, rest];
}

function withoutBlanks(text: string): string {
  return text.replaceAll(/[ \t\r\n\v\f]/g, '');
}
