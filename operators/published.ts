import type { LogReader, PartitionOffsets, Position, TopicLog } from './ports.ts';
import type { LogRecord } from './types.ts';

/** Headers of published records: their number, and who gave it. */
export const SEQUENCE = 'millrace-sequence';
export const PUBLISHER = 'millrace-publisher';

/** So far back the ends of a partition are searched for a publisher that has no cut yet. */
const MOST_BACK = 32_768;

/**
 * The greatest number that a publisher's records carry in a topic, of those that lie behind positions; where there is no
 * position of a partition, of those at its end. 0 where there are none.
 */
export async function lastSequence(
  log: TopicLog,
  topic: string,
  publisher: string,
  behind: readonly Position[],
): Promise<number> {
  let greatest = 0;
  for (const partition of await log.offsets(topic)) {
    const from = behind.find((position) => position.partition === partition.partition)?.offset;
    const sequence = await (from === undefined
      ? searchBack(log, partition, publisher)
      : search(log, { ...partition, start: Math.max(from, partition.start) }, publisher));
    greatest = Math.max(greatest, sequence ?? 0);
  }
  return greatest;
}

/** Reads back from the end, further each time, since others may have written there, and Kafka its marks. */
async function searchBack(log: TopicLog, at: PartitionOffsets, publisher: string): Promise<number | undefined> {
  for (let back = 1; ; back *= 8) {
    const start = Math.max(at.start, at.end - back);
    const found = await search(log, { ...at, start }, publisher);
    if (found !== undefined || start === at.start || back >= MOST_BACK) return found;
  }
}

/** From a start to where a partition ends by then. */
async function search(
  log: TopicLog,
  { topic, partition, start }: PartitionOffsets,
  publisher: string,
): Promise<number | undefined> {
  const reader = log.reader([{ topic, partition, offset: start }]);
  let last: LogRecord | undefined;
  try {
    for await (const records of batchesOf(reader)) {
      last = records.findLast(({ headers }) => headers[PUBLISHER] === publisher) ?? last;
    }
  } finally {
    await reader.close();
  }
  return last && Number(last.headers[SEQUENCE]);
}

async function* batchesOf(reader: LogReader): AsyncGenerator<readonly LogRecord[]> {
  for (let records = await reader.poll(); records.length > 0; records = await reader.poll()) yield records;
}
