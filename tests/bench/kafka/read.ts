import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { open } from 'lmdb';
import type { Database, RootDatabase } from 'lmdb';
import { lastValueFrom, takeWhile } from 'rxjs';
import { logDeadLetters } from '../../../infra/index.ts';
import { decode, ingest, isItem } from '../../../operators/index.ts';
import type { TopicLog } from '../../../operators/index.ts';
import type { Contender } from './duel.ts';
import { Stopwatch } from './pace.ts';

const WINDOW = '1MB';

/** Ours: topic → document. A document is done with as soon as it is there. */
export function documents(name: string, log: TopicLog, topic: string, enough: number): Contender {
  return {
    name,
    unit: 'records',
    async turn() {
      const watch = new Stopwatch(enough);
      const read = log.topic(topic).pipe(
        ingest({ window: WINDOW }),
        decode({ deadLetters: logDeadLetters(log, 'deadletters') }),
        takeWhile((element) => {
          if (!isItem(element)) return true;
          element.source.window.give(element.bytes);
          return !watch.count(1, element.value.byteCount);
        }),
      );
      await lastValueFrom(read);
      return watch.pace;
    },
  };
}

/** The same through kafkajs's documented consumer, with nothing made of the values. */
export function bareConsumer(name: string, brokers: string, topic: string, enough: number): Contender {
  return {
    name,
    unit: 'records',
    async turn() {
      const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
      const consumer = kafka.consumer({ groupId: `bare-${randomUUID()}`, maxWaitTimeInMs: 100 });
      const watch = new Stopwatch(enough);
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      await new Promise<void>((resolve, reject) => {
        consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
        const eachBatch = async ({
          batch: { messages },
        }: {
          batch: { messages: readonly { value: Buffer | null }[] };
        }) => {
          const bytes = messages.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
          if (watch.count(messages.length, bytes)) resolve();
        };
        consumer.run({ autoCommit: false, eachBatch }).catch(reject);
      });
      await consumer.disconnect();
      return watch.pace;
    },
  };
}

/** The same number of values out of an LMDB database with the same keys, as buffers of their own. */
export function bareLmdb(name: string, directory: string, enough: number): Contender {
  return {
    name,
    unit: 'records',
    async turn() {
      const root = open({ path: directory });
      const values = openValues(root);
      const watch = new Stopwatch(enough);
      for (const { value } of values.getRange({ start: [0, 0] })) {
        if (watch.count(1, value.length)) break;
      }
      await root.close();
      return watch.pace;
    },
  };
}

/** Fills the database of `bareLmdb`. */
export async function fillLmdb(directory: string, values: readonly Buffer[], count: number): Promise<void> {
  const root = open({ path: directory });
  const database = openValues(root);
  await root.transaction(() => {
    for (let at = 0; at < count; at += 1) {
      const value = values[at % values.length];
      if (value) database.putSync([0, at], value);
    }
  });
  await root.close();
}

function openValues(root: RootDatabase): Database<Buffer, [number, number]> {
  return root.openDB({ name: 'values', encoding: 'binary' });
}
