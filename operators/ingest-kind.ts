import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { ingest } from './ingest.ts';
import { forkedIngestState, ingestStateIn, positionsIn } from './ingest-state.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { byteSizeSchema, durationSchema } from './units.ts';

export const ingestKind: OperatorKind = defineKind({
  kind: 'ingest',
  summary: 'Emits the records of topics, with barriers and ticks among them.',
  input: 'topics',
  output: 'record',
  state: 'the next offset of each partition, and its place in the ledger',
  config: z
    .strictObject({
      topics: z.array(z.string()).min(1).describe('Topics to read.'),
      mix: z
        .record(z.string(), z.number().positive())
        .optional()
        .describe(
          'Weights by topic, such as { books: 3, web: 1 }: of the bytes, books get three times as many; 1 where none is named. Without, partitions take turns.',
        ),
      window: byteSizeSchema.default('256KB').describe('Bytes in flight from here to the end of the stream.'),
      from: z.enum(['earliest', 'latest']).default('earliest').describe('Where a job that starts anew begins.'),
      tickEvery: durationSchema
        .default('1s')
        .describe('How often operators that wait (batch.maxWait) are told the time.'),
      group: z
        .string()
        .optional()
        .describe(
          'Group under which offsets are reported for monitoring where the topics are not shared; the job id if absent.',
        ),
      onDataLoss: z
        .enum(['fail', 'earliest'])
        .default('fail')
        .describe('When retention drops records before they are read: end with an error, or go on behind them.'),
    })
    .refine(({ topics, mix = {} }) => Object.keys(mix).every((topic) => topics.includes(topic)), {
      path: ['mix'],
      message: 'weighs a topic that is not read: name it under topics too',
    }),
  topicsOf: ({ topics }) => topics,
  positionsIn,
  // Offsets of one log mean nothing in another.
  forked: (uid, snapshot, keepsOffsets) => (keepsOffsets ? forkedIngestState(ingestStateIn(uid, snapshot)) : null),
  migrationOf: ({ uid, snapshot, from, to }) => {
    if (isDeepStrictEqual(from.topics, to.topics)) return null;
    const known = new Set(positionsIn(uid, snapshot).map(({ topic }) => topic));
    const lost = [...known].filter((topic) => !to.topics.includes(topic));
    const loses = lost.map((topic) => ({ part: topic, what: `the offsets of topic ${topic}` }));
    return { does: 'kept for the topics that stay', refused: null, loses };
  },
  build: (uid, { mix, window, from, tickEvery, group, onDataLoss }, services) =>
    ingest({
      uid,
      window,
      from,
      tickEvery,
      onDataLoss,
      ...(mix ? { mix } : {}),
      restore: services.restore,
      ends: services.ends,
      ledger: services.ledger,
      deadLetters: services.deadLetters,
      clock: services.clock,
      group: group ?? services.jobId,
      ...(services.assignments ? { assignments: services.assignments } : {}),
    }),
});
