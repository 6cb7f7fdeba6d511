import { MillraceError } from '../../../operators/errors.ts';
import type { NewRecord, Position, TopicLog } from '../../../operators/index.ts';

const FED = 'millrace-dataset';

/**
 * Produces a data set to a topic once in the topic's life, all records or none. Where it was produced from is committed
 * to the log beforehand, so that after a crash the question whether it went in has one answer.
 */
export async function feedOnce(
  log: TopicLog,
  topic: string,
  dataset: string,
  records: () => Promise<readonly NewRecord[]>,
): Promise<'fed' | 'was-there'> {
  const group = `feed-${dataset}`;
  let since = await log.committed(group, topic);
  if (since.length === 0) {
    since = (await log.offsets(topic)).map(({ end, ...partition }) => ({ ...partition, offset: end }));
    const all = await records();
    await log.commit(group, since);
    await log.produce(topic, marked(all, dataset));
    return 'fed';
  }
  if (await holdsDataset(log, since, dataset)) return 'was-there';
  await log.produce(topic, marked(await records(), dataset));
  return 'fed';
}

function marked(records: readonly NewRecord[], dataset: string): readonly NewRecord[] {
  return records.map((record) => ({ ...record, headers: { ...record.headers, [FED]: dataset } }));
}

async function holdsDataset(log: TopicLog, since: readonly Position[], dataset: string): Promise<boolean> {
  const reader = log.reader(since);
  try {
    for (;;) {
      const records = await reader.poll({ waitMs: 0, maxRecords: 100 });
      if (records.length === 0) return false;
      if (records.some(({ headers }) => headers[FED] === dataset)) return true;
    }
  } catch (error) {
    // Retention has dropped what was behind the mark: then it was there.
    if (error instanceof MillraceError && error.code === 'offset-out-of-range') return true;
    throw error;
  } finally {
    await reader.close();
  }
}
