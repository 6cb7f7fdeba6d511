import { Kafka, logLevel } from 'kafkajs';
import type { RetryOptions } from 'kafkajs';
import Cluster from 'kafkajs/src/cluster/index.js';
import socketFactory from 'kafkajs/src/network/socketFactory.js';
import { typeOf } from './failure.ts';
import { stopIdleTimers } from './idle-timers.ts';
import type { Patience } from './patience.ts';
import type { SecurityOptions } from './security.ts';

/** Which brokers, and how they are spoken to. */
export interface KafkaConnection {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly patience: Patience;
  readonly security: SecurityOptions;
}

export const READ_COMMITTED = 1;
const CONNECTION_TIMEOUT_MS = 1000;
const REQUEST_TIMEOUT_MS = 30_000;
/** Authentication is renewed so long before it ends; TokenSource has another token by then. */
const RENEWAL_MS = 5000;
const METADATA_MAX_AGE_MS = 300_000;
/** kafkajs's own retries, beneath those of `Patience`: few, so that it says when enough is enough. */
const FEW_RETRIES = { retries: 2, initialRetryTime: 20, maxRetryTime: 100 };
/** For transactions, which are begun anew at a cost. */
export const SOME_RETRIES: Readonly<RetryOptions> = { retries: 5, initialRetryTime: 20, maxRetryTime: 1000 };
/** For what cannot be begun anew from outside: about half a minute. */
export const MANY_RETRIES: Readonly<RetryOptions> = { retries: 34, initialRetryTime: 20, maxRetryTime: 1000 };

/** kafkajs's documented client, for producing and for the administration of topics. */
export function kafkaClient(
  { brokers, clientId, security }: KafkaConnection,
  retry: RetryOptions = FEW_RETRIES,
): Kafka {
  stopIdleTimers();
  return new Kafka({
    brokers: [...brokers],
    clientId,
    ...security,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    reauthenticationThreshold: RENEWAL_MS,
    retry,
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
      ...connection.security,
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      reauthenticationThreshold: RENEWAL_MS,
      enforceRequestTimeout: true,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      allowAutoTopicCreation: false,
      isolationLevel: READ_COMMITTED,
      retry: FEW_RETRIES,
    });
  }

  /**
   * Runs `work`, again and again for as long as it fails with what may pass, with fresh metadata each time. Rejects with
   * errors of ours. `work` must bear repetition.
   */
  async run<T>(topic: string, work: (cluster: Cluster) => Promise<T>, isWanted = (): boolean => true): Promise<T> {
    return this.#connection.patience.run({
      topic,
      isWanted,
      work: async () => {
        await this.#connect();
        await this.#cluster.refreshMetadataIfNecessary();
        return work(this.#cluster);
      },
      onFailure: (error) => {
        // Else the next look at the metadata would fail for its sake, whatever it was for.
        if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') this.#cluster.targetTopics.delete(topic);
        else this.#isConnected = false;
      },
    });
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
