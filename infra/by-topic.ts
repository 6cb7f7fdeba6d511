import type { TopicRecord } from '../operators/ports.ts';
import type { NewRecord } from '../operators/types.ts';

/** The records of one topic, and where they stood among all. */
export interface RecordsOfTopic {
  readonly topic: string;
  readonly at: readonly number[];
  readonly records: readonly NewRecord[];
}

/** Sorts records by topic, each topic's in the order in which they were. */
export function byTopic(records: readonly TopicRecord[]): readonly RecordsOfTopic[] {
  const found = new Map<string, { topic: string; at: number[]; records: NewRecord[] }>();
  for (const [at, { topic, ...record }] of records.entries()) {
    const own = found.get(topic) ?? { topic, at: [], records: [] };
    own.at.push(at);
    own.records.push(record);
    found.set(topic, own);
  }
  return [...found.values()];
}
