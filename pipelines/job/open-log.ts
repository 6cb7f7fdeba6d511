import { openEmbeddedLog, openKafkaLog } from '../../infra/index.ts';
import type { Compression, EmbeddedLogOptions, KafkaLogOptions } from '../../infra/index.ts';
import type { TopicLog } from '../../operators/ports.ts';
import type { Graph } from '../spec/graph.ts';
import { dataFolder } from './job-folder.ts';
import { kafkaSettings } from './kafka-settings.ts';

/** Where topics are: with Kafka's brokers, where there are any, else in the data folder. */
export interface LogPlace {
  readonly dataDir: string;
  readonly brokers?: readonly string[] | undefined;
  /** What a graph says of brokers and topics; the environment goes before it. */
  readonly spec?: Pick<Graph, 'kafka' | 'topics'> | undefined;
}

/** What either log may be told; each takes what concerns it. */
export type LogOptions = EmbeddedLogOptions & Omit<KafkaLogOptions, 'brokers'>;

/** The place that a graph names, unless flags name another. */
export function placeOf(graph: Graph | null, { dataDir, brokers }: LogPlace): LogPlace {
  return { dataDir, brokers: brokers ?? graph?.kafka?.brokers, ...(graph ? { spec: graph } : {}) };
}

export function openLog({ dataDir, brokers, spec }: LogPlace, options: LogOptions = {}): Promise<TopicLog> {
  if (!brokers) return openEmbeddedLog(dataFolder(dataDir).log, options);
  const { compression = 'none', security } = kafkaSettings(spec?.kafka ?? {}, process.env);
  const compressionOf = (topic: string): Compression => spec?.topics[topic]?.compression ?? compression;
  return openKafkaLog({ ...options, brokers, security, compression: compressionOf });
}

/** As people say it: the folder, or the brokers. */
export function nameOf({ dataDir, brokers }: LogPlace): string {
  return brokers ? `Kafka at ${brokers.join(', ')}` : dataDir;
}
