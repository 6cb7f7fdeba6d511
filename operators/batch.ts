import type { OperatorFunction } from 'rxjs';
import type { Element, Uid } from './flow.ts';
import { Packer, packedBytes } from './packer.ts';
import { stateful } from './stateful.ts';
import type { TokenBatch, TokenizedDocument } from './types.ts';
import { durationSchema, toMs } from './units.ts';
import type { Duration } from './units.ts';
import { z } from 'zod';
import { SPELLED_ANEW, defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

export interface BatchOptions {
  readonly uid?: Uid;
  /** Rows of a batch. */
  readonly rows: number;
  /** Tokens of a row. */
  readonly context: number;
  readonly endOfText: number;
  /** Stops attention at document borders, by numbering the documents of each row. */
  readonly isolate?: boolean;
  /**
   * A batch that has begun is closed, filled up with tokens that do not count, once it has waited this long by the
   * source's ticks (so `ingest` needs `tickEvery`). Never by default.
   */
  readonly maxWait?: Duration;
}

/**
 * Emits batches of rows × context tokens, packed from documents without padding: documents follow one another with an
 * end-of-text token between them, long ones run over rows and batches, and every token is a target exactly once.
 *
 * Order: kept. Backpressure: a document's bytes go back when it is packed, a batch takes its own. Errors: none of its
 * own. Snapshot: the batch that has begun.
 *
 * @example
 * flow.pipe(batch({ rows: 8, context: 256, endOfText: tokenizer.endOfText, maxWait: '30s' }))
 */
export function batch(options: BatchOptions): OperatorFunction<Element<TokenizedDocument>, Element<TokenBatch>> {
  const maxWaitMs = options.maxWait === undefined ? Infinity : toMs(options.maxWait);
  return stateful<TokenizedDocument, TokenBatch, Packer>(options.uid ?? 'batch', {
    init: () => new Packer(options),
    next: (packer, document) => packer.add(document),
    tick: (packer, atMs) => packer.closeIfWaiting(atMs, maxWaitMs),
    snapshot: (packer) => packer.snapshot(),
    restore: (json) => Packer.restored(options, json),
    bytes: packedBytes,
  });
}

export const batchKind: OperatorKind = defineKind({
  kind: 'batch',
  summary: 'Packs documents into rows of tokens, without padding.',
  input: 'tokenized-document',
  output: 'token-batch',
  state: 'the batch that has begun',
  config: z.strictObject({
    rows: z.int().positive().optional().describe("Rows of a batch; the preset's if absent."),
    context: z.int().positive().optional().describe("Tokens of a row; the preset's if absent."),
    isolate: z.boolean().default(false).describe('Stops attention at document borders.'),
    maxWait: durationSchema.optional().describe('Trains on a batch that is not full after this long. Never if absent.'),
  }),
  refusalOf: (state, { rows, context }, model) =>
    Packer.refusalOf({ rows: rows ?? model.rows, context: context ?? model.context }, state),
  migrationOf: ({ hasOtherTokens }) => (hasOtherTokens ? SPELLED_ANEW : null),
  respelled: ({ state }, respelling, { rows, context, isolate }, model) => ({
    state: Packer.respelled(
      { rows: rows ?? model.rows, context: context ?? model.context, isolate },
      state,
      respelling,
    ),
  }),
  build: (uid, { rows, context, isolate, maxWait }, services) =>
    batch({
      uid,
      rows: rows ?? services.batch.rows,
      context: context ?? services.batch.context,
      endOfText: services.tokenizer.endOfText,
      isolate,
      ...(maxWait === undefined ? {} : { maxWait }),
    }),
});
