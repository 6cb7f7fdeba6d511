import { z } from 'zod';
import type { Tokenizer } from './ports.ts';
import type { Coordinates, Exam, Json, Piece } from './types.ts';

/** A token, and what it cost to predict it. */
export interface TokenBits {
  /** Empty for the end of the document. */
  readonly text: string;
  readonly bits: number;
}

/** A document as it was examined before it was learnt. */
export interface ExaminedDocument {
  readonly at: Coordinates;
  readonly key: string | null;
  readonly timestampMs: number;
  /** Counted ones, and the bits of all of them together; the end of the document counts as a token, and has no bytes. */
  readonly bytes: number;
  readonly bits: number;
  /** Those with the most bits, the most surprising first. */
  readonly tokens: readonly TokenBits[];
}

const documentSchema: z.ZodType<ExaminedDocument> = z.object({
  at: z.object({ topic: z.string(), partition: z.int(), offset: z.int() }),
  key: z.string().nullable(),
  timestampMs: z.number(),
  bytes: z.int(),
  bits: z.number(),
  tokens: z.array(z.object({ text: z.string(), bits: z.number() })),
});

export const documentsSchema: z.ZodType<readonly ExaminedDocument[]> = z.array(documentSchema);

/** Documents that have begun and not ended; a packer fills with one at a time, a mixture may have some more. */
const MOST_BEGUN = 64;

/**
 * Sums the pieces of documents over batches. A document counts when its last piece was examined, if all of it was: one of
 * which a piece had no finite loss, or before this began, is left out.
 */
export class DocumentExams {
  readonly #tokenizer: Tokenizer;
  readonly #most: number;
  readonly #begun: Map<string, ExaminedDocument>;

  /** `most` is how many tokens are told of each document. */
  constructor(tokenizer: Tokenizer, most: number, begun: readonly ExaminedDocument[] = []) {
    this.#tokenizer = tokenizer;
    this.#most = most;
    this.#begun = new Map(begun.map((document) => [nameOf(document.at), document]));
  }

  /** Counts a step's exam; returns the documents that end in it, in their order. */
  take(exam: Exam): readonly ExaminedDocument[] {
    const ended: ExaminedDocument[] = [];
    for (const piece of exam.pieces) {
      const name = nameOf(piece.at);
      const before = piece.begins ? emptyAt(piece) : this.#begun.get(name);
      this.#begun.delete(name);
      if (!before) continue;
      const document = this.#with(before, piece, exam);
      if (piece.ends) ended.push(document);
      else this.#keep(name, document);
    }
    return ended;
  }

  /** The exam of these pieces does not count. */
  drop({ pieces }: Exam): void {
    for (const { at } of pieces) this.#begun.delete(nameOf(at));
  }

  snapshot(): Json {
    return [...this.#begun.values()].map(({ at, tokens, ...document }) => ({
      ...document,
      at: { ...at },
      tokens: tokens.map((token) => ({ ...token })),
    }));
  }

  #keep(name: string, document: ExaminedDocument): void {
    this.#begun.set(name, document);
    const [oldest = name] = this.#begun.keys();
    if (this.#begun.size > MOST_BEGUN) this.#begun.delete(oldest);
  }

  #with(before: ExaminedDocument, { from, to, bytes }: Piece, { targets, losses }: Exam): ExaminedDocument {
    const part = losses.subarray(from, to);
    const bits = part.reduce((sum, loss) => sum + loss, 0) / Math.LN2;
    const told = largest(part, this.#most).map((at) => ({
      text: this.#textOf(targets[from + at] ?? 0),
      bits: (part[at] ?? 0) / Math.LN2,
    }));
    const tokens = [...before.tokens, ...told].toSorted((a, b) => b.bits - a.bits).slice(0, this.#most);
    return { ...before, bytes: before.bytes + bytes, bits: before.bits + bits, tokens };
  }

  /** A token may hold a part of a character only. */
  #textOf(token: number): string {
    if (token === this.#tokenizer.endOfText) return '';
    return Buffer.from(this.#tokenizer.decode(Int32Array.of(token))).toString();
  }
}

function nameOf({ topic, partition, offset }: Coordinates): string {
  return `${topic}/${partition}@${offset}`;
}

function emptyAt({ at, key, timestampMs }: Piece): ExaminedDocument {
  return { at, key: key ?? null, timestampMs, bytes: 0, bits: 0, tokens: [] };
}

/** Places of the largest values, of equal ones the first; those that are not above zero do not count. */
function largest(values: Float32Array, most: number): readonly number[] {
  const places: number[] = [];
  values.forEach((value, place) => {
    const last = values[places[most - 1] ?? -1] ?? 0;
    if (value <= last) return;
    const at = places.findIndex((other) => (values[other] ?? 0) < value);
    places.splice(at === -1 ? places.length : at, 0, place);
    places.length = Math.min(places.length, most);
  });
  return places;
}
