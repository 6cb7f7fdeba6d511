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
    readonly reauthenticationThreshold: number;
    readonly enforceRequestTimeout: boolean;
    readonly metadataMaxAge: number;
    readonly allowAutoTopicCreation: boolean;
    readonly isolationLevel: number;
    readonly retry: { readonly retries: number; readonly initialRetryTime: number; readonly maxRetryTime: number };
  }

  /** A request, and what is made of its answer. */
  export interface Exchange<T> {
    readonly request: object;
    readonly response: {
      decode(payload: Buffer): Promise<T>;
      /** Throws where the answer has the code of an error. */
      parse(decoded: T): Promise<T>;
    };
  }

  interface PerTopic<Partition> {
    readonly topic: string;
    readonly partitions: readonly Partition[];
  }

  export interface NodeConnection {
    readonly connectionPool: { send<T>(exchange: Exchange<T>): Promise<T> };
    disconnect(): Promise<void>;
    metadata(topics: readonly string[]): Promise<{
      readonly topicMetadata: readonly { readonly topic: string; readonly partitionMetadata: readonly unknown[] }[];
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

  export interface NodeConnection {
    joinGroup(request: {
      readonly groupId: string;
      /** Empty for a new member. */
      readonly memberId: string;
      readonly sessionTimeout: number;
      readonly rebalanceTimeout: number;
      readonly groupProtocols: readonly { readonly name: string; readonly metadata: Buffer }[];
    }): Promise<JoinedGroup>;
    syncGroup(request: {
      readonly groupId: string;
      readonly memberId: string;
      readonly generationId: number;
      readonly groupAssignment: readonly { readonly memberId: string; readonly memberAssignment: Buffer }[];
    }): Promise<{ readonly memberAssignment: Buffer }>;
    heartbeat(request: {
      readonly groupId: string;
      readonly memberId: string;
      readonly groupGenerationId: number;
    }): Promise<unknown>;
    leaveGroup(request: { readonly groupId: string; readonly memberId: string }): Promise<unknown>;
  }

  export interface JoinedGroup {
    readonly memberId: string;
    readonly leaderId: string;
    readonly generationId: number;
    /** For the leader only. */
    readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[];
  }

  class Cluster {
    constructor(options: ClusterOptions);
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    refreshMetadata(): Promise<void>;
    refreshMetadataIfNecessary(): Promise<void>;
    readonly targetTopics: Set<string>;
    getNodeIds(): readonly string[];
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

declare module 'kafkajs/src/protocol/requests/fetch/v11/request.js' {
  export default function fetchRequest(fields: {
    readonly replicaId: number;
    readonly isolationLevel: number;
    readonly maxWaitTime: number;
    readonly minBytes: number;
    readonly maxBytes: number;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { partition: number; fetchOffset: string; maxBytes: number }[];
    }[];
  }): object;
}

declare module 'kafkajs/src/protocol/requests/fetch/v11/response.js' {
  const response: {
    parse<T extends { readonly responses: readonly { readonly partitions: readonly { errorCode: number }[] }[] }>(
      decoded: T,
    ): Promise<T>;
  };
  export default response;
}

declare module 'kafkajs/src/protocol/message/compression/index.js' {
  /** The codec of a batch by its attributes, null where it is not compressed. Throws where there is none for it. */
  export function lookupCodecByAttributes(attributes: number): { decompress(bytes: Buffer): Promise<Buffer> } | null;
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
