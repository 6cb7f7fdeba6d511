import { openEmbeddedLog, openKafkaLog } from '../../infra/index.ts';
import type { EmbeddedLogOptions } from '../../infra/index.ts';
import type { TopicLog } from '../../operators/ports.ts';
import { dataFolder } from './job-folder.ts';

/** Where topics are: with Kafka's brokers, where there are any, else in the data folder. */
export interface LogPlace {
  readonly dataDir: string;
  readonly brokers?: readonly string[] | undefined;
}

export function openLog({ dataDir, brokers }: LogPlace, options: EmbeddedLogOptions = {}): Promise<TopicLog> {
  return brokers ? openKafkaLog({ brokers }) : openEmbeddedLog(dataFolder(dataDir).log, options);
}

/** As people say it: the folder, or the brokers. */
export function nameOf({ dataDir, brokers }: LogPlace): string {
  return brokers ? `Kafka at ${brokers.join(', ')}` : dataDir;
}
