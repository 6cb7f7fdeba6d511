import { createHash } from 'node:crypto';
import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { each } from './each.ts';
import type { Element } from './flow.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import type { LogRecord } from './types.ts';

export interface HoldoutOptions {
  /** Of all keys, between 0 and 1. */
  readonly share: number;
}

/**
 * Keeps a share of the records from being trained on: drops those that `isHeldOut` says, and emits the others.
 *
 * Order: kept. Backpressure: a record that is dropped gives its bytes back. Marks pass. No errors of its own. No state:
 * which records are held out is told by themselves, also after a restart.
 */
export function holdout({ share }: HoldoutOptions): OperatorFunction<Element<LogRecord>, Element<LogRecord>> {
  return each((record) => (isHeldOut(record, share) ? null : record));
}

/**
 * Whether a record is of the share that is held out: by its key, so that all records of one key are on the same side, else
 * by where it stands. A larger share holds out what a smaller one does, and more.
 */
export function isHeldOut({ key, topic, partition, offset }: Omit<LogRecord, 'value'>, share: number): boolean {
  const name = key ?? `${topic}/${partition}@${offset}`;
  return createHash('sha256').update(name).digest().readUInt32BE(0) / 2 ** 32 < share;
}

export const holdoutKind: OperatorKind = defineKind({
  kind: 'holdout',
  summary: 'Drops a share of the records, chosen by their keys, so that it is never trained on and can be examined by.',
  input: 'record',
  output: 'record',
  config: z.strictObject({
    share: z.number().gt(0).lt(1).default(0.01).describe('Share of the keys, or of the records where they have none.'),
  }),
  build: (_uid, config) => holdout(config),
});
