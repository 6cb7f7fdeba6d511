import { Kafka, logLevel } from 'kafkajs';
import type { TopicLog } from '../../../operators/index.ts';
import { ownBytes } from '../peak-rss.ts';
import type { Figure } from '../report.ts';
import { duel } from './duel.ts';
import { bareProducer, commandProducer, logProducer } from './produce.ts';
import { bareConsumer, bareLmdb, documents } from './read.ts';
import { tokenizing } from './tokenize.ts';

/** What a section is given to work with. */
export interface SectionContext {
  /** The log at that place, open. */
  readonly log: TopicLog;
  /** A broker's address, or the folder of an embedded log. */
  readonly place: string;
  readonly documents: readonly Buffer[];
  readonly rounds: number;
}

export type Section = (context: SectionContext) => Promise<readonly Figure[]>;

/** Topic with 1 GB of documents; a turn of reading takes a part of them. */
export const TOPIC = 'text';
export const RECORDS = 1_000_000;
export const RECORDS_A_TURN = 200_000;
const PRODUCED_A_TURN = 50_000;
const TOKENS_A_TURN = 1_000_000;
const SAMPLE_EVERY_MS = 10;

async function produce({ log, place, documents: texts, rounds }: SectionContext): Promise<readonly Figure[]> {
  const kafka = new Kafka({ brokers: [place], logLevel: logLevel.NOTHING });
  const load = { documents: texts, count: PRODUCED_A_TURN, topic: 'produced' };
  await log.createTopic(load.topic);
  const ours = [logProducer('log.produce', log, load), commandProducer('millrace produce', log, load)];
  return duel([bareProducer('kafkajs producer', kafka, load), ...ours], rounds);
}

async function read({ log, place, rounds }: SectionContext): Promise<readonly Figure[]> {
  const bare = bareConsumer('kafkajs eachBatch', place, TOPIC, RECORDS_A_TURN);
  return duel([bare, documents('topic → document', log, TOPIC, RECORDS_A_TURN)], rounds);
}

async function readEmbedded({ log, place, rounds }: SectionContext): Promise<readonly Figure[]> {
  const bare = bareLmdb('LMDB getRange', bareFolder(place), RECORDS_A_TURN);
  return duel([bare, documents('embedded topic → document', log, TOPIC, RECORDS_A_TURN)], rounds);
}

/** The folder of the bare LMDB database beside an embedded log. */
export function bareFolder(place: string): string {
  return `${place}-bare`;
}

async function tokenize({ log, documents: texts, rounds }: SectionContext): Promise<readonly Figure[]> {
  const work = { documents: texts, tokens: TOKENS_A_TURN };
  const nano = await duel(tokenizing('nano', log, TOPIC, work), rounds);
  return [...nano, ...(await duel(tokenizing('small', log, TOPIC, work), rounds))];
}

/** Own memory of a process that reads a topic to documents: after a tenth of it, and at its peak over the rest. */
async function memory({ log, place }: SectionContext): Promise<readonly Figure[]> {
  const name = `${place.includes(':') ? '' : 'embedded '}topic → document`;
  await documents('warming up', log, TOPIC, RECORDS / 10).turn();
  const settled = ownBytes(process.pid);
  if (settled === null) return [];
  let peak = settled;
  const sampling = setInterval(() => (peak = Math.max(peak, ownBytes(process.pid) ?? 0)), SAMPLE_EVERY_MS);
  await documents('reading', log, TOPIC, RECORDS * 0.9).turn();
  clearInterval(sampling);
  return [
    { case: name, metric: 'settledOwnBytes', value: settled, unit: 'bytes' },
    { case: name, metric: 'peakOwnBytes', value: peak, unit: 'bytes' },
  ];
}

export type SectionName = 'produce' | 'read' | 'read-embedded' | 'tokenize' | 'memory';

const sections: ReadonlyMap<string, Section> = new Map<SectionName, Section>([
  ['produce', produce],
  ['read', read],
  ['read-embedded', readEmbedded],
  ['tokenize', tokenize],
  ['memory', memory],
]);

export function sectionNamed(name: string): Section {
  const section = sections.get(name);
  if (section) return section;
  throw new Error(`There is no section ${name}.`);
}
