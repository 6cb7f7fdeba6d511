import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { Kafka, logLevel } from 'kafkajs';
import { startBroker } from '../../../infra/kafka/broker/broker.mjs';
import { openEmbeddedLog, openKafkaLog } from '../../../infra/index.ts';
import type { TopicLog } from '../../../operators/index.ts';
import { integer } from '../../../pipelines/commands/options.ts';
import { warnUnlessQuiet } from '../quiet.ts';
import { printRows, progress } from '../report.ts';
import type { Figure } from '../report.ts';
import { calls, kilobyteDocuments } from './documents.ts';
import { duel } from './duel.ts';
import { memoryFigures } from './memory.ts';
import { bareProducer, commandProducer, logProducer } from './produce.ts';
import { bareConsumer, bareLmdb, documents, fillLmdb } from './read.ts';
import { printFigures } from './result.ts';
import { tokenizing } from './tokenize.ts';

interface KafkaOptions {
  readonly rounds: number;
  readonly json?: true;
}

const TOPIC = 'text';
/** 1 GB of documents of 1 kB, for memory; a turn of reading takes a part of them. */
const RECORDS = 1_000_000;
const RECORDS_A_TURN = 200_000;
const PRODUCED_A_TURN = 50_000;
const TOKENS_A_TURN = 1_000_000;
const RECORDS_A_CALL = 500;

/** `bench kafka`: what the way of the data costs beside the bare clients. */
export function kafkaBench(): Command {
  return new Command('kafka')
    .description(
      'Produce to a Kafka broker and to the embedded log, read documents from both and tokenize them, beside bare ' +
        'kafkajs and bare LMDB. Starts a broker of its own; writes 3 GB to the folder for temporary files.',
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
      ...(await onEmbeddedLog(scratch, texts, rounds)),
    ];
    if (json) printRows({ bench: 'kafka' }, figures);
    else printFigures(figures);
  } finally {
    await broker.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function onKafka(brokers: string, texts: readonly Buffer[], rounds: number): Promise<readonly Figure[]> {
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
  const log = await openKafkaLog({ brokers: [brokers] });
  try {
    const load = { documents: texts, count: PRODUCED_A_TURN, topic: 'produced' };
    await log.createTopic(load.topic);
    const produced = await duel(
      [
        bareProducer('kafkajs producer', kafka, load),
        logProducer('log.produce', log, load),
        commandProducer('millrace produce', log, load),
      ],
      rounds,
    );
    await fill(log, texts);
    const read = await duel(
      [
        bareConsumer('kafkajs eachBatch', brokers, TOPIC, RECORDS_A_TURN),
        documents('topic → document', log, TOPIC, RECORDS_A_TURN),
      ],
      rounds,
    );
    const work = { documents: texts, tokens: TOKENS_A_TURN };
    const tokenized = [
      ...(await duel(tokenizing('nano', log, TOPIC, work), rounds)),
      ...(await duel(tokenizing('small', log, TOPIC, work), rounds)),
    ];
    return [
      ...produced,
      ...read,
      ...tokenized,
      ...(await memoryFigures('topic → document', brokers, TOPIC, RECORDS * 0.9)),
    ];
  } finally {
    await log.close();
  }
}

async function onEmbeddedLog(scratch: string, texts: readonly Buffer[], rounds: number): Promise<readonly Figure[]> {
  const place = join(scratch, 'log');
  const bare = join(scratch, 'lmdb');
  const log = await openEmbeddedLog(place);
  try {
    await fill(log, texts);
    await fillLmdb(bare, texts, RECORDS_A_TURN + 1);
    const read = await duel(
      [
        bareLmdb('LMDB getRange', bare, RECORDS_A_TURN),
        documents('embedded topic → document', log, TOPIC, RECORDS_A_TURN),
      ],
      rounds,
    );
    return [...read, ...(await memoryFigures('embedded topic → document', place, TOPIC, RECORDS * 0.9))];
  } finally {
    await log.close();
  }
}

async function fill(log: TopicLog, texts: readonly Buffer[]): Promise<void> {
  progress('filling a topic with 1 GB');
  await log.createTopic(TOPIC);
  for (const records of calls(texts, RECORDS, RECORDS_A_CALL)) await log.produce(TOPIC, records);
}
