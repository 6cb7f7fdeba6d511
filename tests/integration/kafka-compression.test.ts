import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openKafkaLog } from '../../infra/index.ts';
import { compressions } from '../../infra/kafka/codecs.ts';
import type { Compression } from '../../infra/kafka/codecs.ts';
import { startBroker } from '../../infra/kafka/broker/broker.mjs';
import type { Broker } from '../../infra/kafka/broker/broker.mjs';
import type { TopicLog } from '../../operators/index.ts';
import { consoleConsume, consoleProduce } from '../support/kafka-tools.ts';
import { millrace } from '../support/millrace.ts';
import { randomFrom } from '../support/random.ts';
import { readTopic } from '../support/read-topic.ts';

/** Of several blocks and windows of each codec, compressible and not. */
const random = randomFrom(7);
const LINES = Array.from({ length: 4000 }, (_, at) =>
  at % 3 === 0
    ? random()
        .toString(36)
        .repeat(1 + (at % 5))
    : `the mill ${at} turns ☃ `.repeat(1 + (at % 20)).trim(),
);
/** As bits of a batch's attributes say. */
const NUMBERS: Readonly<Record<Compression, number>> = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 };

let folder: string;
let broker: Broker;
let log: TopicLog;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-compression-'));
  broker = await startBroker({ dataDir: folder });
  log = await openKafkaLog({ brokers: [broker.brokers], compression: lastWordOf });
});
afterAll(async () => {
  await log.close();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

it.each(compressions)('what Java compresses with %s is read', async (name) => {
  const topic = `java-${name}`;
  await log.createTopic(topic);
  await consoleProduce(broker, topic, `${LINES.join('\n')}\n`, ['--compression-codec', name]);
  expect((await readTopic(log, topic)).map(({ value }) => String(value))).toEqual(LINES);
  expect(await codecsOf(topic)).toEqual(new Set([NUMBERS[name]]));
});

it.each(compressions)('what is compressed with %s is read by Java', async (name) => {
  const topic = `ours-${name}`;
  await log.createTopic(topic);
  await log.produce(
    topic,
    LINES.map((value) => ({ value })),
  );
  expect(await codecsOf(topic)).toEqual(new Set([NUMBERS[name]]));
  expect(await consoleConsume(broker, topic, LINES.length)).toEqual(LINES);
  expect((await readTopic(log, topic)).map(({ value }) => String(value))).toEqual(LINES);
});

it('a graph says it for all topics and for one', async () => {
  const graph = join(folder, 'graph.yaml');
  const streams = 'streams: { s: [{ uid: a, ingest: { topics: [one] } }, { uid: b, decode: {} }] }';
  const kafka = `kafka: { brokers: ["${broker.brokers}"], compression: zstd }`;
  await writeFile(graph, `name: c\n${kafka}\ntopics: { one: {}, two: { compression: lz4 } }\n${streams}\n`);
  for (const topic of ['one', 'two']) {
    const { code, stderr } = await millrace(['produce', topic, '-', '--graph', graph], 'a\nb\n');
    expect(code, stderr).toBe(0);
  }
  expect([await codecsOf('one'), await codecsOf('two')]).toEqual([new Set([NUMBERS.zstd]), new Set([NUMBERS.lz4])]);
});

function lastWordOf(topic: string): Compression {
  return compressions.find((name) => topic.endsWith(name)) ?? 'none';
}

/** The codecs of the batches in a topic's first segment, transactions' marks left out. */
async function codecsOf(topic: string): Promise<Set<number>> {
  const segment = await readFile(join(folder, 'data', `${topic}-0`, '00000000000000000000.log'));
  const codecs = new Set<number>();
  for (let at = 0; at < segment.length; at += 12 + segment.readInt32BE(at + 8)) {
    const attributes = segment.readInt16BE(at + 21);
    const isControl = (attributes & 32) !== 0;
    if (!isControl) codecs.add(attributes & 7);
  }
  return codecs;
}
