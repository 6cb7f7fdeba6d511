import { openEmbeddedLog, openKafkaLog } from '../../infra/index.ts';
import type { EmbeddedLogOptions, KafkaLogOptions } from '../../infra/index.ts';
import type { TopicLog } from '../../operators/ports.ts';
import { dataFolder } from './job-folder.ts';

/** Where topics are: with Kafka's brokers, where there are any, else in the data folder. */
export interface LogPlace {
  readonly dataDir: string;
  readonly brokers?: readonly string[] | undefined;
}

/** What either log may be told; each takes what concerns it. */
export type LogOptions = EmbeddedLogOptions & Omit<KafkaLogOptions, 'brokers'>;

export function openLog({ dataDir, brokers }: LogPlace, options: LogOptions = {}): Promise<TopicLog> {
  return brokers ? openKafkaLog({ ...options, brokers }) : openEmbeddedLog(dataFolder(dataDir).log, options);
}

/** As people say it: the folder, or the brokers. */
export function nameOf({ dataDir, brokers }: LogPlace): string {
  return brokers ? `Kafka at ${brokers.join(', ')}` : dataDir;
}
