import { afterAll, beforeAll } from 'vitest';
import { startBroker } from '../../infra/kafka/broker/broker.mjs';
import type { Broker } from '../../infra/kafka/broker/broker.mjs';
import { openKafkaLog } from '../../infra/index.ts';
import type { TopicLog } from '../../operators/ports.ts';
import { describeTopicLog } from './topic-log.ts';

/** Fetching the jars, the first time, takes most of it. */
const START_MS = 120_000;

let broker: Broker;

beforeAll(async () => {
  broker = await startBroker();
}, START_MS);
afterAll(() => broker.stop());

describeTopicLog(
  'a real Kafka broker',
  async () => {
    const handles: TopicLog[] = [];
    const another = async (): Promise<TopicLog> => {
      const log = await openKafkaLog({ brokers: [broker.brokers] });
      handles.push(log);
      return log;
    };
    const closeAll = async (): Promise<void> => {
      for (const handle of handles.splice(0)) await handle.close();
    };
    return {
      log: await another(),
      another,
      reopen: async () => {
        await closeAll();
        return another();
      },
      close: closeAll,
    };
  },
  { exactRetention: false, denseOffsets: false },
);
