import { z } from 'zod';
import type { Json } from '../types.ts';
import { SIGNATURE_BYTES, rowsFor, similarity } from './min-hash.ts';

export const DIGEST_BYTES = 16;

export interface RememberedOptions {
  /** Documents that are remembered; beyond that, the oldest is forgotten. */
  readonly capacity: number;
  /** How alike two documents must be, from 0 to 1, to be near; null where only the same text counts. */
  readonly near: number | null;
  /** Words of a shingle, which signatures can't be compared across. */
  readonly shingle: number;
}

interface Entry {
  /** In base64. */
  readonly digest: string;
  readonly signature: Uint8Array | null;
}

const stateSchema = z.object({
  shingle: z.int(),
  /** Of all documents, oldest first. */
  digests: z.base64(),
  /** Of as many of the newest as were compared by it. */
  signatures: z.base64(),
});

/** The last documents, by the digest of their text, and by what is like it. */
export class Remembered {
  readonly #options: RememberedOptions;
  /** By number, which rises from document to document. */
  readonly #entries = new Map<number, Entry>();
  readonly #digests = new Set<string>();
  /** By band, and by what a signature has there: numbers of entries, oldest first. */
  readonly #bands: Map<number, number[]>[];
  readonly #rows: number;
  #next = 0;

  constructor(options: RememberedOptions) {
    this.#options = options;
    this.#rows = options.near === null ? SIGNATURE_BYTES : rowsFor(options.near);
    this.#bands = Array.from({ length: Math.floor(SIGNATURE_BYTES / this.#rows) }, () => new Map());
  }

  get size(): number {
    return this.#entries.size;
  }

  has(digest: string): boolean {
    return this.#digests.has(digest);
  }

  hasNear(signature: Uint8Array): boolean {
    const { near } = this.#options;
    if (near === null) return false;
    const isNear = (number: number): boolean => {
      const other = this.#entries.get(number)?.signature;
      return other ? similarity(signature, other) >= near : false;
    };
    return this.#places(signature).some(({ band, key }) => band.get(key)?.some(isNear) ?? false);
  }

  /** Takes a document that is not remembered yet. */
  add(digest: string, signature: Uint8Array | null): void {
    const number = this.#next++;
    this.#entries.set(number, { digest, signature });
    this.#digests.add(digest);
    for (const { band, key } of this.#places(signature)) {
      const bucket = band.get(key);
      if (bucket) bucket.push(number);
      else band.set(key, [number]);
    }
    if (this.#entries.size > this.#options.capacity) this.#forgetOldest();
  }

  snapshot(): Json {
    const entries = [...this.#entries.values()];
    const signatures = entries.flatMap(({ signature }) => (signature ? [signature] : []));
    return {
      shingle: this.#options.shingle,
      digests: Buffer.concat(entries.map(({ digest }) => Buffer.from(digest, 'base64'))).toString('base64'),
      signatures: Buffer.concat(signatures).toString('base64'),
    };
  }

  /** What is remembered under other settings goes on as far as it can. Throws where it can't be read. */
  static restored(options: RememberedOptions, json: Json): Remembered {
    const { shingle, ...encoded } = stateSchema.parse(json);
    const remembered = new Remembered(options);
    const digests = Buffer.from(encoded.digests, 'base64');
    const signatures = Buffer.from(encoded.signatures, 'base64');
    const isComparable = options.near !== null && shingle === options.shingle;
    const count = digests.length / DIGEST_BYTES;
    // The newest have one.
    const without = count - signatures.length / SIGNATURE_BYTES;
    for (let at = 0; at < count; at++) {
      const digest = digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES).toString('base64');
      const from = (at - without) * SIGNATURE_BYTES;
      const signature =
        isComparable && from >= 0 ? Uint8Array.from(signatures.subarray(from, from + SIGNATURE_BYTES)) : null;
      remembered.add(digest, signature);
    }
    return remembered;
  }

  #forgetOldest(): void {
    const [oldest] = this.#entries;
    if (!oldest) return;
    const [number, { digest, signature }] = oldest;
    this.#entries.delete(number);
    this.#digests.delete(digest);
    for (const { band, key } of this.#places(signature)) {
      const bucket = band.get(key);
      bucket?.shift();
      if (bucket?.length === 0) band.delete(key);
    }
  }

  /** Where a signature is found: in each band under a hash (FNV-1a) of its rows there. */
  #places(signature: Uint8Array | null): readonly { readonly band: Map<number, number[]>; readonly key: number }[] {
    if (!signature) return [];
    return this.#bands.map((band, at) => {
      let key = 0x811c9dc5;
      const from = at * this.#rows;
      for (const byte of signature.subarray(from, from + this.#rows)) key = Math.imul(key ^ byte, 0x01000193);
      return { band, key };
    });
  }
}
