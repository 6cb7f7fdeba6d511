import type { LogReader, TopicLog } from '../../../operators/ports.ts';
import type { LogRecord, NewRecord } from '../../../operators/types.ts';

export const WAIT_MS = 10_000;

export function numbered(count: number, partition: number): NewRecord[] {
  return Array.from({ length: count }, (_, at) => ({ value: String(at), partition }));
}

/** All records of a partition from an offset on. */
export async function drain(log: TopicLog, topic: string, partition: number, from = 0): Promise<LogRecord[]> {
  const end = (await log.offsets(topic))[partition]?.end ?? 0;
  const reader = log.reader([{ topic, partition, offset: from }]);
  const records: LogRecord[] = [];
  while ((reader.positions()[0]?.offset ?? end) < end) records.push(...(await reader.poll({ waitMs: WAIT_MS })));
  await reader.close();
  return records;
}

export async function values(log: TopicLog, topic: string, partition: number): Promise<string[]> {
  return (await drain(log, topic, partition)).map(textOf);
}

export async function pollText(reader: LogReader): Promise<string[]> {
  return (await reader.poll({ waitMs: WAIT_MS })).map(textOf);
}

export function textOf({ value }: LogRecord): string {
  return value ? Buffer.from(value).toString() : '';
}

export function bytes(value: Uint8Array | null | undefined): number[] | null {
  return value ? [...value] : null;
}
