import { MillraceError } from '../operators/errors.ts';
import type { PartitionOffsets, Position } from '../operators/ports.ts';

/** Says which offsets are gone, or that they have never been, of a partition that is read from where it has nothing. */
export function offsetOutOfRange(
  { topic, partition, offset }: Position,
  { start, end }: Pick<PartitionOffsets, 'start' | 'end'>,
  options?: ErrorOptions,
): MillraceError {
  if (offset < start) {
    return new MillraceError(
      'offset-out-of-range',
      `Offsets ${offset} to ${start - 1} of ${topic}/${partition} are gone: retention dropped them before they were ` +
        `read. Go on from ${start} (onDataLoss: earliest, on the ingest of a graph), and give the topic a longer retention.`,
      options,
    );
  }
  return new MillraceError(
    'offset-out-of-range',
    `${topic}/${partition} ends at ${end}, so there is no offset ${offset} to read from. Was the log replaced by ` +
      'another? Start from a position that it has.',
    options,
  );
}
