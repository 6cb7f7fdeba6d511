import type { Exchange, NodeConnection } from 'kafkajs/src/cluster/index.js';
import fetchRequest from 'kafkajs/src/protocol/requests/fetch/v11/request.js';
import fetchResponse from 'kafkajs/src/protocol/requests/fetch/v11/response.js';
import type { Position } from '../../operators/ports.ts';
import { ByteReader } from './byte-reader.ts';
import { READ_COMMITTED } from './cluster.ts';
import { readRecordBatches } from './record-batch.ts';
import type { AbortedTransaction, RecordsRead } from './record-batch.ts';

export interface FetchOptions {
  readonly from: readonly Position[];
  /** Of each partition; one batch that is larger comes whole. */
  readonly maxBytes: number;
  /** How long the broker may hold the request back until there is anything. */
  readonly holdMs: number;
}

/** What came of one partition. */
export interface Fetched extends RecordsRead {
  readonly from: Position;
  /** Where the partition ends now, up to the first transaction that is still open. */
  readonly end: number;
}

interface FetchDecoded {
  /** Under the name by which kafkajs looks for it. */
  readonly clientSideThrottleTime: number;
  readonly errorCode: number;
  readonly responses: readonly { readonly topicName: string; readonly partitions: readonly FetchedPartition[] }[];
}

interface FetchedPartition {
  readonly partition: number;
  readonly errorCode: number;
  readonly end: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly bytes: Buffer;
}

/** As kafkajs numbers it: no follower that copies. */
const CONSUMER = -1;

/**
 * Asks the leader of partitions for their records, only committed ones. Rejects with kafkajs's own errors.
 *
 * The request and the meaning of error codes are kafkajs's; the records are read here, see `readRecordBatches`.
 */
export async function fetchRecords(node: NodeConnection, options: FetchOptions): Promise<readonly Fetched[]> {
  const { from, maxBytes, holdMs } = options;
  const topics = [...new Set(from.map(({ topic }) => topic))];
  const request = fetchRequest({
    replicaId: CONSUMER,
    isolationLevel: READ_COMMITTED,
    maxWaitTime: holdMs,
    minBytes: 1,
    maxBytes: maxBytes * from.length,
    topics: topics.map((topic) => ({
      topic,
      partitions: from
        .filter((position) => position.topic === topic)
        .map(({ partition, offset }) => ({ partition, fetchOffset: String(offset), maxBytes })),
    })),
  });
  const response = {
    decode: async (payload: Buffer) => decode(payload),
    parse: (decoded: FetchDecoded) => fetchResponse.parse(decoded),
  };
  const { responses } = await send(node, { request, response });
  const fetched: Fetched[] = [];
  for (const { topicName, partitions } of responses) {
    for (const { partition, bytes, aborted, end } of partitions) {
      const asked = from.find((position) => position.topic === topicName && position.partition === partition);
      if (asked) fetched.push({ from: asked, end, ...(await readRecordBatches(asked, bytes, aborted)) });
    }
  }
  return fetched;
}

/** A broker whose connection was closed is connected to anew only when it knows of that. */
async function send<T>(node: NodeConnection, exchange: Exchange<T>): Promise<T> {
  try {
    return await node.connectionPool.send(exchange);
  } catch (error) {
    if (error instanceof Error && error.name === 'KafkaJSConnectionClosedError') await node.disconnect();
    throw error;
  }
}

/** Fetch response, version 11 (https://kafka.apache.org/protocol#The_Messages_Fetch), as far as it is needed. */
function decode(payload: Buffer): FetchDecoded {
  const reader = new ByteReader(payload);
  const clientSideThrottleTime = reader.int32();
  const errorCode = reader.int16();
  // The session, of which there is none.
  reader.skip(4);
  const responses = reader.array(() => ({
    topicName: reader.string(),
    partitions: reader.array(() => decodePartition(reader)),
  }));
  return { clientSideThrottleTime, errorCode, responses };
}

function decodePartition(reader: ByteReader): FetchedPartition {
  const partition = reader.int32();
  const errorCode = reader.int16();
  // The high watermark, which also counts open transactions.
  reader.skip(8);
  const end = reader.int64();
  // Where the log starts.
  reader.skip(8);
  const aborted = reader.array(() => ({ producerId: reader.int64(), firstOffset: reader.int64() }));
  // The replica that should be read rather.
  reader.skip(4);
  return { partition, errorCode, end, aborted, bytes: reader.bytes(reader.int32()) ?? Buffer.alloc(0) };
}
