import { MillraceError } from '../../operators/errors.ts';
import type { Position, TopicLog } from '../../operators/ports.ts';
import type { LogRecord } from '../../operators/types.ts';

/** Where to begin to read: a word, or the offset of a record. */
export type From = 'earliest' | 'latest' | number;

const POLL_WAIT_MS = 500;

/**
 * Positions to begin from: of one partition, or of all. Rejects with `topic-missing` for a topic or partition that is not
 * there, and with `bad-usage` for an offset without a partition where there are several.
 */
export async function positionsFrom(
  log: TopicLog,
  topic: string,
  from: From,
  partition: number | null,
): Promise<Position[]> {
  const all = await log.offsets(topic);
  const wanted = partition === null ? all : all.filter((each) => each.partition === partition);
  if (wanted.length === 0) {
    throw new MillraceError(
      'topic-missing',
      `Topic ${topic} has no partition ${partition}: its partitions are 0 to ${all.length - 1}.`,
    );
  }
  if (typeof from === 'number' && wanted.length > 1) {
    throw new MillraceError(
      'bad-usage',
      `Offsets count within a partition, and topic ${topic} has ${all.length}. Add --partition.`,
    );
  }
  const offsetOf = { earliest: 'start', latest: 'end' } as const;
  return wanted.map((each) => ({
    topic,
    partition: each.partition,
    offset: typeof from === 'number' ? from : each[offsetOf[from]],
  }));
}

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** End where the partitions end as this begins; records that come meanwhile are left out. */
  readonly untilEnd?: boolean;
}

/**
 * Yields records as they come, in order within each partition, and an empty list now and then where none come. Ends when
 * the signal aborts. Errors: the reader's.
 */
export async function* follow(
  log: TopicLog,
  from: readonly Position[],
  { signal, untilEnd = false }: FollowOptions,
): AsyncGenerator<readonly LogRecord[]> {
  const ends = untilEnd ? await endsOf(log, from) : new Map<string, number>();
  const endOf = (at: Position | LogRecord): number => ends.get(`${at.topic}/${at.partition}`) ?? Infinity;
  const reader = log.reader(from);
  try {
    while (!signal.aborted && reader.positions().some((position) => position.offset < endOf(position))) {
      const records = await reader.poll({ waitMs: POLL_WAIT_MS, signal });
      yield untilEnd ? records.filter((record) => record.offset < endOf(record)) : records;
    }
  } finally {
    await reader.close();
  }
}

async function endsOf(log: TopicLog, positions: readonly Position[]): Promise<ReadonlyMap<string, number>> {
  const ends = new Map<string, number>();
  for (const topic of new Set(positions.map((each) => each.topic))) {
    for (const { partition, end } of await log.offsets(topic)) ends.set(`${topic}/${partition}`, end);
  }
  return ends;
}
