import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import type { EachBatchPayload } from 'kafkajs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startBroker } from '../../infra/kafka/broker/broker.mjs';
import type { Broker } from '../../infra/kafka/broker/broker.mjs';
import { logDeadLetters, logLedger, openKafkaLog } from '../../infra/index.ts';
import type { TopicLog } from '../../operators/ports.ts';
import { someBroker } from '../support/kafka-broker.ts';
import type { TestBroker } from '../support/kafka-broker.ts';
import { printedSeed, randomFrom } from '../support/random.ts';
import { readTopic } from '../support/read-topic.ts';
import { describeTopicLog } from './topic-log.ts';

/** Fetching the jars, the first time, takes most of it. */
const START_MS = 120_000;
/** What kafkajs does not say of a batch in its types. */
const rawBatchSchema = z.object({
  rawMessages: z.array(z.object({ batchContext: z.object({ producerId: z.string() }) })),
});

let some: TestBroker;

beforeAll(async () => {
  some = await someBroker();
}, START_MS);
afterAll(() => some.stop());

describeTopicLog(
  'a real Kafka broker',
  async () => {
    const handles: TopicLog[] = [];
    const another = async (): Promise<TopicLog> => {
      const log = await openKafkaLog({ brokers: [some.brokers] });
      handles.push(log);
      return log;
    };
    const closeAll = async (): Promise<void> => {
      for (const handle of handles.splice(0)) await handle.close();
    };
    return {
      log: await another(),
      address: ['kafka', some.brokers],
      another,
      reopen: async () => {
        await closeAll();
        return another();
      },
      forget: async ({ topic, partition, offset }) => {
        const admin = new Kafka({ brokers: [some.brokers], logLevel: logLevel.NOTHING }).admin();
        await admin.connect();
        await admin.fetchTopicOffsets(topic);
        await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
        await admin.disconnect();
      },
      close: closeAll,
    };
  },
  { exactRetention: false, denseOffsets: false, manyProcesses: true },
);

describe('a log on Kafka', () => {
  let broker: Broker;
  let log: TopicLog;
  let topic: string;
  let kafka: Kafka;

  beforeAll(async () => {
    broker = await startBroker({ quickRejoin: true });
  });
  afterAll(() => broker.stop());
  beforeEach(async () => {
    kafka = new Kafka({ brokers: [broker.brokers], logLevel: logLevel.NOTHING });
    log = await openKafkaLog({ brokers: [broker.brokers] });
    topic = `own-${randomUUID()}`;
    await log.createTopic(topic);
  });
  afterEach(() => log.close());

  it('shows nothing of a transaction that is open or was aborted', async () => {
    await log.produce(topic, [{ value: 'before' }]);
    const producer = kafka.producer({ transactionalId: topic, idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ value: 'never' }] });
    await log.produce(topic, [{ value: 'after' }]);
    expect(await valuesOf(log, topic)).toEqual(['before']);
    await transaction.abort();
    await producer.disconnect();
    await expect.poll(() => valuesOf(log, topic)).toEqual(['before', 'after']);
  });

  it('splits what is too much for one batch, and keeps it together and in order', async () => {
    const records = Array.from({ length: 30 }, (_, at) => ({ value: `${at} `.padEnd(100_000, '.') }));
    const coordinates = await log.produce(topic, records);
    expect(coordinates.map(({ offset }) => offset)).toEqual(records.map((_, at) => at));
    expect((await valuesOf(log, topic)).map((value) => Number.parseInt(value, 10))).toEqual(records.map((_, at) => at));
  });

  it('takes a record as large as the embedded log does, and says when one is too large', async () => {
    const [large] = await log.produce(topic, [{ value: Buffer.alloc(16 * 1024 * 1024) }]);
    expect(large).toEqual({ topic, partition: 0, offset: 0 });
    const tooLarge = log.produce(topic, [{ value: Buffer.alloc(18 * 1024 * 1024) }]);
    await expect(tooLarge).rejects.toMatchObject({ code: 'record-too-large' });
    expect(await log.produce(topic, [{ value: 'fits' }])).toEqual([{ topic, partition: 0, offset: 1 }]);
    expect((await valuesOf(log, topic)).map(({ length }) => length)).toEqual([16 * 1024 * 1024, 4]);
  });

  it('numbers what operators, ledger and dead letters produce, so that retries make no duplicates', async () => {
    await log.produce(topic, [{ value: 'of an operator' }]);
    await logLedger(log, `${topic}-ledger`).append({ kind: 'tick', atMs: 1 });
    const at = { topic, partition: 0, offset: 0 };
    const letter = { at, code: 'record-empty', message: 'Empty.', key: null, value: null } as const;
    await logDeadLetters(log, `${topic}-dead`).put(letter);
    const topics = [topic, `${topic}-ledger`, `${topic}-dead`];
    const numbers = await producerIdsOf(topics);
    expect(Object.keys(numbers).toSorted()).toEqual(topics.toSorted());
    for (const id of Object.values(numbers)) expect(id).toBeGreaterThanOrEqual(0);
  });

  it('loses and doubles nothing when the broker is killed and comes back', async () => {
    const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
    expect(await reader.poll()).toEqual([]);
    const restarted = broker.restart();
    for (const record of numbered(20)) await log.produce(topic, [record]);
    await restarted;
    const read: string[] = [];
    while (read.length < 20) read.push(...(await reader.poll({ waitMs: 1000 })).map(({ value }) => String(value)));
    expect(read).toEqual(numbered(20).map(({ value }) => value));
    await reader.close();
  });

  it('carries transactions out once when the broker is killed in their midst', async () => {
    const transactions = await log.transactions(topic, topic);
    const seed = printedSeed('contract/kafka-log');
    const random = randomFrom(seed);
    const last = 30;
    const offsets = Array.from({ length: last + 1 }, (_, offset) => offset);
    const committed = offsets.map((offset) =>
      transactions.commit({
        records: [{ topic, value: String(offset) }],
        positions: [{ topic, partition: 0, offset, metadata: `${offset}` }],
      }),
    );
    for (let kill = 0; kill < 2; kill += 1) {
      await sleep(random() * 200);
      await broker.restart();
    }
    await Promise.all(committed);
    expect(await valuesOf(log, topic)).toEqual(offsets.map(String));
    expect(await log.committed(topic, topic)).toEqual([{ topic, partition: 0, offset: last, metadata: `${last}` }]);
  });

  /** By topic, whose number its first batch bears: -1 where a producer has none. */
  async function producerIdsOf(topics: readonly string[]): Promise<Record<string, number>> {
    const consumer = kafka.consumer({ groupId: topic, maxWaitTimeInMs: 100 });
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    const found: Record<string, number> = {};
    await new Promise<void>((resolve, reject) => {
      const eachBatch = async ({ batch }: EachBatchPayload): Promise<void> => {
        const { rawMessages } = rawBatchSchema.parse(batch);
        found[batch.topic] = Number(rawMessages[0]?.batchContext.producerId);
        if (Object.keys(found).length === topics.length) resolve();
      };
      consumer.run({ eachBatch }).catch(reject);
    });
    await consumer.disconnect();
    return found;
  }

  it('gives up after its patience, and says what to do', async () => {
    const impatient = await openKafkaLog({ brokers: [broker.brokers], patienceMs: 300 });
    await impatient.offsets(topic);
    await broker.kill();
    await expect(impatient.offsets(topic)).rejects.toMatchObject({
      code: 'broker-unreachable',
      message: expect.stringContaining('npx millrace kafka up'),
    });
    await impatient.close();
    await broker.restart();
  });
});

function numbered(count: number): { readonly value: string }[] {
  return Array.from({ length: count }, (_, at) => ({ value: String(at) }));
}

async function valuesOf(log: TopicLog, topic: string): Promise<string[]> {
  return (await readTopic(log, topic)).map(({ value }) => String(value));
}
