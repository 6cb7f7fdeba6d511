/**
 * What this adapter uses of kafkajs beyond its documented interface, which can only read as a member of a group, pushes
 * records instead of letting them be pulled, and commits offsets only for members. The version is pinned for its sake.
 */

declare module 'kafkajs/src/cluster/index.js' {
  import type { ConnectionOptions } from 'node:tls';
  import type { ISocketFactory, Logger, SASLOptions } from 'kafkajs';

  export interface ClusterOptions {
    readonly logger: Logger;
    readonly socketFactory: ISocketFactory;
    readonly brokers: readonly string[];
    readonly clientId: string;
    readonly ssl?: ConnectionOptions;
    readonly sasl?: SASLOptions;
    readonly connectionTimeout: number;
    readonly requestTimeout: number;
    readonly enforceRequestTimeout: boolean;
    readonly metadataMaxAge: number;
    readonly allowAutoTopicCreation: boolean;
    readonly isolationLevel: number;
    readonly retry: { readonly retries: number; readonly initialRetryTime: number; readonly maxRetryTime: number };
  }

  export interface FetchedPartition {
    readonly partition: number;
    readonly messages: readonly RawMessage[];
  }

  export interface RawMessage {
    readonly offset: string;
    readonly timestamp: string;
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly headers: Readonly<Record<string, unknown>>;
    readonly batchContext?: { readonly firstOffset: string; readonly lastOffsetDelta: number };
  }

  interface PerTopic<Partition> {
    readonly topic: string;
    readonly partitions: readonly Partition[];
  }

  export interface NodeConnection {
    fetch(request: {
      readonly isolationLevel: number;
      readonly maxWaitTime: number;
      readonly minBytes: number;
      readonly maxBytes: number;
      readonly topics: readonly PerTopic<{ partition: number; fetchOffset: string; maxBytes: number }>[];
    }): Promise<{
      readonly responses: readonly { readonly topicName: string; readonly partitions: readonly FetchedPartition[] }[];
    }>;
    offsetCommit(request: {
      readonly groupId: string;
      readonly groupGenerationId: number;
      readonly memberId: string;
      readonly topics: readonly PerTopic<{ partition: number; offset: string; metadata: string }>[];
    }): Promise<unknown>;
    offsetFetch(request: {
      readonly groupId: string;
      readonly topics: readonly PerTopic<{ partition: number }>[];
    }): Promise<{
      readonly responses: readonly PerTopic<{ partition: number; offset: string; metadata: string | null }>[];
    }>;
  }

  class Cluster {
    constructor(options: ClusterOptions);
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    refreshMetadata(): Promise<void>;
    refreshMetadataIfNecessary(): Promise<void>;
    readonly targetTopics: Set<string>;
    addMultipleTargetTopics(topics: readonly string[]): Promise<void>;
    findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number; readonly leader: number }[];
    findBroker(node: { readonly nodeId: string }): Promise<NodeConnection>;
    findGroupCoordinator(group: { readonly groupId: string }): Promise<NodeConnection>;
    fetchTopicsOffset(
      topics: readonly (PerTopic<{ partition: number }> & { readonly fromBeginning: boolean })[],
    ): Promise<readonly PerTopic<{ partition: number; offset: string }>[]>;
  }
  export default Cluster;
}

declare module 'kafkajs/src/consumer/batch.js' {
  import type { FetchedPartition, RawMessage } from 'kafkajs/src/cluster/index.js';

  /** Leaves out markers of transactions, records of aborted ones, and records before the wanted offset. */
  class Batch {
    constructor(topic: string, fetchedOffset: string, partition: FetchedPartition);
    readonly messages: readonly RawMessage[];
  }
  export default Batch;
}

declare module 'kafkajs/src/network/requestQueue/index.js' {
  class RequestQueue {
    readonly pending: readonly unknown[];
    scheduleCheckPendingRequests(): void;
  }
  export default RequestQueue;
}

declare module 'kafkajs/src/network/socketFactory.js' {
  import type { ISocketFactory } from 'kafkajs';

  export default function socketFactory(): ISocketFactory;
}
