import { hash } from 'node:crypto';
import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { Tally } from './counts.ts';
import { SIGNATURE_BYTES, signatureOf } from './deduplication/min-hash.ts';
import { DIGEST_BYTES, Remembered } from './deduplication/remembered.ts';
import type { RememberedOptions } from './deduplication/remembered.ts';
import { shinglesOf } from './deduplication/shingles.ts';
import type { Element, Uid } from './flow.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { stateful } from './stateful.ts';
import type { Document } from './types.ts';
import { byteSizeSchema, toBytes } from './units.ts';
import type { ByteSize } from './units.ts';

export interface DedupeOptions {
  readonly uid?: Uid;
  /** Jaccard similarity from which on two documents are near duplicates; false: only the very same text is one. */
  readonly near?: number | false;
  /** Words of a shingle. */
  readonly shingle?: number;
  /** Documents that are remembered, as their number or as the bytes of them in a cut. */
  readonly memory?: number | ByteSize;
}

interface Seen {
  readonly tally: Tally;
  readonly remembered: Remembered;
}

const stateSchema = z.object({ counts: z.json(), remembered: z.json() });

/**
 * Emits each document that is not among the last ones that it has emitted: not the very same text, nor, by MinHash over its
 * shingles, one that is about as alike as `near` says. Of a series of duplicates the first goes on, until it is forgotten.
 *
 * Order: kept. Backpressure: what is dropped gives its bytes back. Errors: none of its own. Counts: `kept` documents, and
 * those `dropped` as `exact` or `near`. Snapshot: the counts, and of each remembered document 16 bytes, with `near` 144, in
 * base64. Under other settings what is remembered goes on as far as it can: texts always, what is like them not with another
 * `shingle`.
 *
 * @example
 * flow.pipe(dedupe({ near: 0.8, memory: 50_000 }))
 */
export function dedupe(options: DedupeOptions = {}): OperatorFunction<Element<Document>, Element<Document>> {
  const { near = 0.8, shingle = 5, memory = 10_000 } = options;
  const bytes = DIGEST_BYTES + (near === false ? 0 : SIGNATURE_BYTES);
  const capacity = typeof memory === 'number' ? memory : Math.max(1, Math.floor(toBytes(memory) / bytes));
  const settings: RememberedOptions = { capacity, near: near === false ? null : near, shingle };

  return stateful<Document, Document, Seen>(options.uid ?? 'dedupe', {
    init: () => ({ tally: new Tally(), remembered: new Remembered(settings) }),
    next: ({ tally, remembered }, document) => {
      const digest = hash('sha256', document.text, 'buffer').subarray(0, DIGEST_BYTES).toString('base64');
      if (remembered.has(digest)) {
        tally.add('dropped', 'exact');
        return [];
      }
      const signature = near === false ? null : signatureOf(comparable(document.text, digest, shingle));
      if (signature && remembered.hasNear(signature)) {
        tally.add('dropped', 'near');
        return [];
      }
      remembered.add(digest, signature);
      tally.add('kept', 'documents');
      return [document];
    },
    snapshot: ({ tally, remembered }) => ({ counts: tally.snapshot(), remembered: remembered.snapshot() }),
    restore: (json) => {
      const { counts, remembered } = stateSchema.parse(json);
      return { tally: Tally.restored(counts), remembered: Remembered.restored(settings, remembered) };
    },
    bytes: ({ byteCount }) => byteCount,
    counts: ({ tally }) => tally.counts,
  });
}

/** A text's shingles; one without words is like nothing but itself. */
function comparable(text: string, digest: string, size: number): Int32Array {
  const shingles = shinglesOf(text, size);
  return shingles.length > 0 ? shingles : Int32Array.of(Buffer.from(digest, 'base64').readInt32LE());
}

export const dedupeKind: OperatorKind = defineKind({
  kind: 'dedupe',
  summary: 'Drops documents that are the same as one of the last, or nearly so.',
  input: 'document',
  output: 'document',
  state: 'digests and signatures of the last documents, and counts',
  config: z.strictObject({
    near: z
      .union([z.literal(false), z.number().gt(0).lte(1)])
      .default(0.8)
      .describe(
        'Share of shingles in common (Jaccard) from which on documents are near duplicates; false: only exact ones.',
      ),
    shingle: z.int().positive().default(5).describe('Words of a shingle.'),
    memory: z
      .union([z.int().positive(), byteSizeSchema])
      .default(10_000)
      .describe('Documents that are remembered, oldest forgotten first; a size such as 4MB is that of a cut.'),
  }),
  build: (uid, config) => dedupe({ uid, ...config }),
});
