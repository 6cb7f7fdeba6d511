import { mix } from './shingles.ts';

/** Hash functions, and so bytes of a signature. */
export const SIGNATURE_BYTES = 128;

/** By how much a pair that is exactly as alike as wanted must be a candidate. */
const CANDIDATE_PROBABILITY = 0.95;

// States hold signatures, so these numbers stay as they are.
const factors = Int32Array.from({ length: SIGNATURE_BYTES }, (_, at) => mix(2 * at + 1) | 1);
const offsets = Int32Array.from({ length: SIGNATURE_BYTES }, (_, at) => mix(2 * at + 2));

/**
 * MinHash (Broder 1997) of a set of hashes, of which there is at least one: of each hash function's smallest value, eight bits
 * (b-bit minwise hashing, Li and König 2010). Two sets agree in a byte with a probability of about their Jaccard similarity.
 */
export function signatureOf(shingles: Int32Array): Uint8Array {
  const signature = new Uint8Array(SIGNATURE_BYTES);
  for (let at = 0; at < SIGNATURE_BYTES; at++) {
    const factor = factors[at] ?? 0;
    const offset = offsets[at] ?? 0;
    let smallest = 0x7fffffff;
    for (let each = 0; each < shingles.length; each++) {
      const value = (Math.imul(shingles[each] ?? 0, factor) + offset) | 0;
      if (value < smallest) smallest = value;
    }
    signature[at] = mix(smallest);
  }
  return signature;
}

/** Estimate of the Jaccard similarity of the sets behind two signatures; one in 256 bytes agrees by chance. */
export function similarity(one: Uint8Array, other: Uint8Array): number {
  let equal = 0;
  for (let at = 0; at < SIGNATURE_BYTES; at++) if (one[at] === other[at]) equal += 1;
  const byChance = 1 / 256;
  return (equal / SIGNATURE_BYTES - byChance) / (1 - byChance);
}

/**
 * Rows of a band, for signatures to be looked up by (locality-sensitive hashing; Leskovec, Rajaraman and Ullman, Mining of
 * Massive Datasets, 3.4): pairs that agree in all rows of a band are candidates. As many rows as still make a pair of that
 * similarity one with a probability of 95 %.
 */
export function rowsFor(threshold: number): number {
  let rows = 1;
  while (candidateProbability(threshold, rows + 1) >= CANDIDATE_PROBABILITY && rows < SIGNATURE_BYTES) rows += 1;
  return rows;
}

export function candidateProbability(jaccard: number, rows: number): number {
  return 1 - (1 - jaccard ** rows) ** Math.floor(SIGNATURE_BYTES / rows);
}
