import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import Cluster from 'kafkajs/src/cluster/index.js';
import socketFactory from 'kafkajs/src/network/socketFactory.js';
import { isPassing, kafkaFailure, typeOf } from './failure.ts';
import { stopIdleTimers } from './idle-timers.ts';

/** Which brokers, and how they are spoken to. */
export interface KafkaConnection {
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** How long a call is tried again while no broker answers. */
  readonly patienceMs: number;
}

export const READ_COMMITTED = 1;
const CONNECTION_TIMEOUT_MS = 1000;
const REQUEST_TIMEOUT_MS = 30_000;
const METADATA_MAX_AGE_MS = 300_000;
const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 1000;
/** kafkajs's own retries, beneath ours: few, so that it is this file that says when enough is enough. */
const RETRY = { retries: 2, initialRetryTime: 20, maxRetryTime: 100 };

/** kafkajs's documented client, for producing and for the administration of topics. */
export function kafkaClient({ brokers, clientId, patienceMs }: KafkaConnection): Kafka {
  stopIdleTimers();
  return new Kafka({
    brokers: [...brokers],
    clientId,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: { initialRetryTime: 20, maxRetryTime: MAX_DELAY_MS, retries: Math.ceil(patienceMs / MAX_DELAY_MS) + 4 },
    logLevel: logLevel.NOTHING,
  });
}

/** Connections to the brokers of one cluster, made when first needed and made again when they break. */
export class KafkaCluster {
  readonly #connection: KafkaConnection;
  readonly #cluster: Cluster;
  #isConnected = false;

  constructor(connection: KafkaConnection) {
    this.#connection = connection;
    this.#cluster = new Cluster({
      logger: kafkaClient(connection).logger(),
      socketFactory: socketFactory(),
      brokers: connection.brokers,
      clientId: connection.clientId,
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      enforceRequestTimeout: true,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      allowAutoTopicCreation: false,
      isolationLevel: READ_COMMITTED,
      retry: RETRY,
    });
  }

  /**
   * Runs `work`, again and again for as long as it fails with what may pass, with fresh metadata each time. Rejects with
   * errors of ours. `work` must bear repetition.
   */
  async run<T>(topic: string, work: (cluster: Cluster) => Promise<T>, isWanted = (): boolean => true): Promise<T> {
    const deadlineMs = performance.now() + this.#connection.patienceMs;
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, MAX_DELAY_MS)) {
      try {
        await this.#connect();
        await this.#cluster.refreshMetadataIfNecessary();
        return await work(this.#cluster);
      } catch (error) {
        // Else the next look at the metadata would fail for its sake, whatever it was for.
        if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') this.#cluster.targetTopics.delete(topic);
        const isLate = performance.now() + delayMs > deadlineMs;
        if (isLate || !isPassing(error) || !isWanted()) throw kafkaFailure(error, { ...this.#connection, topic });
        this.#isConnected = false;
        await sleep(delayMs);
      }
    }
  }

  /** How many partitions the topic has now. Rejects with `topic-missing`. */
  partitionsOf(topic: string): Promise<number> {
    return this.run(topic, async (cluster) => {
      const [nodeId = ''] = cluster.getNodeIds();
      const broker = await cluster.findBroker({ nodeId });
      const { topicMetadata } = await broker.metadata([topic]);
      const count = topicMetadata[0]?.partitionMetadata.length ?? 0;
      await cluster.addMultipleTargetTopics([topic]);
      // So that who leads a partition that was added is known too.
      if (cluster.findTopicPartitionMetadata(topic).length !== count) await cluster.refreshMetadata();
      return count;
    });
  }

  async close(): Promise<void> {
    await this.#cluster.disconnect();
  }

  async #connect(): Promise<void> {
    if (this.#isConnected) return;
    await this.#cluster.connect();
    await this.#cluster.refreshMetadata();
    this.#isConnected = true;
  }
}
