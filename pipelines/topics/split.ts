import { MillraceError } from '../../operators/errors.ts';
import { size } from '../terminal/format.ts';

/** What becomes one record: a line, a paragraph (lines up to a blank one), or all of it. */
export type SplitBy = 'line' | 'paragraph' | 'file';

const NEWLINE = 10;
const BLANKS: ReadonlySet<number | undefined> = new Set([9, 11, 12, 13, 32, NEWLINE]);

/**
 * Cuts bytes into pieces as they come. The pieces, joined, are the input again: each ends with its separator, and blank
 * lines before a paragraph belong to it. Where the chunks' borders lie makes no difference, and only the piece under way
 * is held in memory. Bytes are cut, not text, so what is no UTF-8 passes through whole.
 *
 * Errors: `record-too-large` as soon as a piece is longer than `maxBytes`.
 */
export class Splitter {
  readonly #by: SplitBy;
  readonly #maxBytes: number;
  /** The piece under way. */
  #parts: Uint8Array[] = [];
  #bytes = 0;
  /** Whether its last line has had nothing but blanks so far, and whether all its lines had. */
  #lineIsBlank = true;
  #pieceIsBlank = true;

  constructor(by: SplitBy, maxBytes: number = Infinity) {
    this.#by = by;
    this.#maxBytes = maxBytes;
  }

  /** Yields the pieces that this chunk completes. The chunk must not be changed afterwards. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    if (this.#by === 'file') {
      this.#keep(chunk);
      return;
    }
    let from = 0;
    while (from < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, from);
      const line = chunk.subarray(from, newline === -1 ? chunk.length : newline + 1);
      this.#keep(line);
      this.#lineIsBlank &&= line.every((byte) => BLANKS.has(byte));
      this.#pieceIsBlank &&= this.#lineIsBlank;
      from += line.length;
      if (newline === -1) return;
      if (this.#by === 'line' || (this.#lineIsBlank && !this.#pieceIsBlank)) yield this.#take();
      this.#lineIsBlank = true;
    }
  }

  /** Yields what is left when the input has ended. An empty file is a piece too. */
  *end(): Generator<Uint8Array> {
    if (this.#bytes > 0 || this.#by === 'file') yield this.#take();
  }

  #keep(part: Uint8Array): void {
    this.#parts.push(part);
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) throw tooLarge(this.#by, this.#maxBytes);
  }

  #take(): Uint8Array {
    const [only] = this.#parts;
    const piece = this.#parts.length === 1 && only ? only : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    this.#lineIsBlank = true;
    this.#pieceIsBlank = true;
    return piece;
  }
}

/** The piece without its separator: a line without its end, a paragraph without white space around it, a file as it is. */
function withoutSeparator(piece: Uint8Array, by: SplitBy): Uint8Array {
  if (by === 'file') return piece;
  if (by === 'line') return piece.subarray(0, endOfLine(piece));
  const end = piece.findLastIndex((byte) => !BLANKS.has(byte)) + 1;
  const first = piece.findIndex((byte) => !BLANKS.has(byte));
  // Indentation of the first line belongs to the paragraph.
  return first === -1 ? piece.subarray(0, 0) : piece.subarray(piece.lastIndexOf(NEWLINE, first) + 1, end);
}

/** What the pieces are worth as records. Paragraphs are never empty; lines and files may be. */
export function* valuesOf(pieces: Iterable<Uint8Array>, by: SplitBy): Generator<Uint8Array> {
  for (const piece of pieces) {
    const value = withoutSeparator(piece, by);
    if (value.length > 0 || by !== 'paragraph') yield value;
  }
}

function endOfLine(line: Uint8Array): number {
  if (line.at(-1) !== NEWLINE) return line.length;
  return line.at(-2) === 13 ? line.length - 2 : line.length - 1;
}

function tooLarge(by: SplitBy, maxBytes: number): MillraceError {
  const advice = { file: 'Use --split paragraph.', paragraph: 'Use --split line.', line: 'Break it up first.' }[by];
  return new MillraceError(
    'record-too-large',
    `The ${by} is longer than a record may be (${size(maxBytes)}). ${advice}`,
  );
}
