import type { LogRecord, TopicLog } from '../../operators/index.ts';

/** All records that a topic has now, partition by partition. */
export async function readTopic(log: TopicLog, topic: string): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for (const { partition, start, end } of await log.offsets(topic)) {
    const reader = log.reader([{ topic, partition, offset: start }]);
    while ((reader.positions()[0]?.offset ?? end) < end) records.push(...(await reader.poll({ waitMs: 1000 })));
    await reader.close();
  }
  return records;
}
