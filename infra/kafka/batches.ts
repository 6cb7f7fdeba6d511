import type { CompressionTypes, Message, RecordMetadata, Transaction } from 'kafkajs';
import type { PartitionId } from '../../operators/ports.ts';
import type { Coordinates } from '../../operators/types.ts';
import type { Outgoing } from './records.ts';

/** Brokers take batches of about a megabyte unless they are told otherwise. */
const BATCH_BYTES = 900_000;

/** Records of one partition that are sent at once. */
export interface Batch extends PartitionId {
  readonly compression: CompressionTypes;
  /** Where its records stood among all that were to be sent. */
  readonly at: number[];
  readonly messages: Message[];
  bytes: number;
}

/** Splits records by partition, in order, into what a broker takes at once. */
export function toBatches(records: readonly Outgoing[]): readonly Batch[] {
  const batches: Batch[] = [];
  const open = new Map<string, Batch>();
  for (const [at, { topic, partition, compression, message, bytes }] of records.entries()) {
    const name = `${topic}/${partition}`;
    let batch = open.get(name);
    if (!batch || batch.bytes + bytes > BATCH_BYTES) {
      batch = { topic, partition, compression, at: [], messages: [], bytes: 0 };
      open.set(name, batch);
      batches.push(batch);
    }
    batch.at.push(at);
    batch.messages.push(message);
    batch.bytes += bytes;
  }
  return batches;
}

/** Sends batches as parts of a transaction; resolves with the offset of each batch's first record. */
export async function sendInTransaction(transaction: Transaction, batches: readonly Batch[]): Promise<number[]> {
  const bases: number[] = [];
  for (const { topic, messages, compression } of batches) {
    bases.push(baseOf(await transaction.send({ topic, messages, compression })));
  }
  return bases;
}

/** Where the records lie, in their own order, once the batches' first offsets are known. */
export function coordinatesOf(batches: readonly Batch[], bases: readonly number[]): readonly Coordinates[] {
  const coordinates: Coordinates[] = [];
  for (const [index, { topic, partition, at }] of batches.entries()) {
    for (const [delta, record] of at.entries()) {
      coordinates[record] = { topic, partition, offset: (bases[index] ?? 0) + delta };
    }
  }
  return coordinates;
}

export function baseOf([metadata]: readonly RecordMetadata[]): number {
  return Number(metadata?.baseOffset);
}
