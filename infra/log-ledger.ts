import { z } from 'zod';
import { MillraceError } from '../operators/errors.ts';
import type { Ledger, LedgerEntry, TopicLog } from '../operators/ports.ts';
import type { LogRecord } from '../operators/types.ts';
import { ownTopic } from './own-topic.ts';

const entrySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('run'),
    topic: z.string(),
    partition: z.int().nonnegative(),
    from: z.int().nonnegative(),
    count: z.int().positive(),
  }),
  z.strictObject({ kind: z.literal('tick'), atMs: z.number(), isSpare: z.literal(true).optional() }),
  z.strictObject({
    kind: z.literal('lost'),
    topic: z.string(),
    partition: z.int().nonnegative(),
    from: z.int().nonnegative(),
    to: z.int().positive(),
  }),
  z.strictObject({ kind: z.literal('short'), count: z.int().nonnegative() }),
  z.strictObject({
    kind: z.literal('undo'),
    to: z.strictObject({ entry: z.int().nonnegative(), played: z.int().nonnegative() }),
  }),
]);

/**
 * A ledger in a topic of its own, which is made when missing: one partition, an entry per record as JSON. A position is
 * an offset; there are no gaps, since every entry is produced by itself. An entry is as durable as the log's `produce`.
 * Errors: those of the log; `state-invalid` for a record that is no entry. The topic must have no retention: whatever a
 * checkpoint still points to stays.
 */
export function logLedger(log: TopicLog, topic: string): Ledger {
  const ready = ownTopic(log, topic);

  async function end(): Promise<number> {
    await ready();
    const [partition] = await log.offsets(topic);
    return partition?.end ?? 0;
  }

  return {
    end,
    async append(entry) {
      await ready();
      const [at] = await log.produce(topic, [{ value: JSON.stringify(entry), partition: 0 }]);
      return at ? at.offset + 1 : end();
    },
    async read(from) {
      const to = await end();
      const reader = log.reader([{ topic, partition: 0, offset: from }]);
      const entries: LedgerEntry[] = [];
      try {
        while (from + entries.length < to) {
          const records = await reader.poll({ maxRecords: to - from - entries.length, waitMs: 1000 });
          entries.push(...records.map(toEntry));
        }
      } finally {
        await reader.close();
      }
      return entries;
    },
  };
}

function toEntry({ topic, offset, value }: LogRecord): LedgerEntry {
  try {
    return entrySchema.parse(JSON.parse(Buffer.from(value ?? []).toString()));
  } catch (cause) {
    throw new MillraceError(
      'state-invalid',
      `Record ${offset} of topic ${topic} is no ledger entry. Has something else produced to that topic? Without it ` +
        'the order of records cannot be repeated: begin anew from a savepoint made after it, or from fresh weights.',
      { cause },
    );
  }
}
