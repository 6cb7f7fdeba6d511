import { z } from 'zod';
import { MillraceError } from '../../../operators/errors.ts';
import type { LedgerPlace, Position } from '../../../operators/ports.ts';

const metadataSchema = z.object({ played: z.int().nonnegative() });

/** A place in a job's ledger as a committed offset of the ledger's topic. */
export function encodePlace(ledgerTopic: string, job: string, { entry, played }: LedgerPlace): Position {
  return { topic: ledgerTopic, partition: 0, offset: entry, metadata: JSON.stringify({ job, played }) };
}

/** Throws `state-invalid` for an offset that somebody else has committed. */
export function decodePlace({ topic, offset, metadata = '' }: Position): LedgerPlace {
  try {
    return { entry: offset, played: metadataSchema.parse(JSON.parse(metadata)).played };
  } catch (cause) {
    throw new MillraceError(
      'state-invalid',
      `The group's offset of topic ${topic} does not say which cut counts. Has a tool reset it? Name another group with ` +
        '--group: the job then goes on from its own newest checkpoint.',
      { cause },
    );
  }
}
