import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { startBroker } from '../../../infra/kafka/broker/broker.mjs';
import { openEmbeddedLog, openKafkaLog } from '../../../infra/index.ts';
import type { TopicLog } from '../../../operators/index.ts';
import { integer } from '../../../pipelines/commands/options.ts';
import { warnUnlessQuiet } from '../quiet.ts';
import { printRows, progress } from '../report.ts';
import type { Figure } from '../report.ts';
import { calls, kilobyteDocuments } from './documents.ts';
import { measureSection } from './measure-section.ts';
import { fillLmdb } from './read.ts';
import { printFigures } from './result.ts';
import { RECORDS, RECORDS_A_TURN, TOPIC, bareFolder } from './sections.ts';

interface KafkaOptions {
  readonly rounds: number;
  readonly json?: true;
}

const RECORDS_A_CALL = 500;

/** `bench kafka`: what the way of the data costs beside the bare clients. */
export function kafkaBench(): Command {
  return new Command('kafka')
    .description(
      'Produce to a Kafka broker, read documents from it and from the embedded log, and tokenize them, beside bare kafkajs ' +
        'and bare LMDB. Starts a broker of its own; writes 3 GB to the folder for temporary files.',
    )
    .option('--rounds <n>', 'turns that each gets', integer(1), 3)
    .option('--json', 'print rows as JSON, one a line')
    .action(kafkaCommand);
}

async function kafkaCommand({ rounds, json }: KafkaOptions): Promise<void> {
  await warnUnlessQuiet();
  const scratch = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const broker = await startBroker({ dataDir: join(scratch, 'kafka') });
  try {
    const texts = await kilobyteDocuments();
    const figures = [
      ...(await onKafka(broker.brokers, texts, rounds)),
      ...(await onEmbeddedLog(join(scratch, 'log'), texts, rounds)),
    ];
    if (json) printRows({ bench: 'kafka' }, figures);
    else printFigures(figures);
  } finally {
    await broker.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function onKafka(brokers: string, texts: readonly Buffer[], rounds: number): Promise<readonly Figure[]> {
  const produced = await measureSection('produce', brokers, rounds);
  await fill(await openKafkaLog({ brokers: [brokers] }), texts);
  return [
    ...produced,
    ...(await measureSection('read', brokers, rounds)),
    ...(await measureSection('tokenize', brokers, rounds)),
    ...(await measureSection('memory', brokers, rounds)),
  ];
}

async function onEmbeddedLog(place: string, texts: readonly Buffer[], rounds: number): Promise<readonly Figure[]> {
  await fill(await openEmbeddedLog(place), texts);
  await fillLmdb(bareFolder(place), texts, RECORDS_A_TURN + 1);
  return [
    ...(await measureSection('read-embedded', place, rounds)),
    ...(await measureSection('memory', place, rounds)),
  ];
}

/** Puts 1 GB into the topic, and closes the log. */
async function fill(log: TopicLog, texts: readonly Buffer[]): Promise<void> {
  progress('filling a topic with 1 GB');
  try {
    await log.createTopic(TOPIC);
    for (const records of calls(texts, RECORDS, RECORDS_A_CALL)) await log.produce(TOPIC, records);
  } finally {
    await log.close();
  }
}
