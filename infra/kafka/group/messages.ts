import { AssignerProtocol } from 'kafkajs';
import { z } from 'zod';
import type { PartitionId } from '../../../operators/ports.ts';

const VERSION = 0;

const claimSchema = z.object({
  generation: z.int(),
  owned: z.record(z.string(), z.array(z.int().nonnegative())),
});

/** What a member tells the leader when it joins. */
export interface Claim {
  readonly owned: readonly PartitionId[];
  readonly generation: number;
}

const NO_CLAIM: Claim = { owned: [], generation: -1 };

/** A subscription as Kafka's own tools read it, with the claim as what they leave to the members. */
export function encodeSubscription(topics: readonly string[], { owned, generation }: Claim): Buffer {
  const userData = Buffer.from(JSON.stringify({ generation, owned: byTopic(owned) }));
  return AssignerProtocol.MemberMetadata.encode({ version: VERSION, topics: [...topics], userData });
}

/** A claim is only a wish, so one that can't be read is none. */
export function decodeClaim(subscription: Buffer): Claim {
  try {
    const decoded = AssignerProtocol.MemberMetadata.decode(subscription);
    const { owned, generation } = claimSchema.parse(JSON.parse(decoded?.userData.toString() ?? ''));
    return { generation, owned: toPartitions(owned) };
  } catch {
    return NO_CLAIM;
  }
}

export function encodeAssignment(partitions: readonly PartitionId[]): Buffer {
  return AssignerProtocol.MemberAssignment.encode({
    version: VERSION,
    assignment: byTopic(partitions),
    userData: Buffer.alloc(0),
  });
}

/** By topic, then by number. A member that was given nothing gets an empty answer. */
export function decodeAssignment(assignment: Buffer): readonly PartitionId[] {
  return toPartitions(AssignerProtocol.MemberAssignment.decode(assignment)?.assignment ?? {});
}

function byTopic(partitions: readonly PartitionId[]): Record<string, number[]> {
  const topics: Record<string, number[]> = {};
  for (const { topic, partition } of partitions) (topics[topic] ??= []).push(partition);
  return topics;
}

function toPartitions(topics: Readonly<Record<string, readonly number[]>>): readonly PartitionId[] {
  return Object.entries(topics).flatMap(([topic, partitions]) =>
    partitions.toSorted((one, other) => one - other).map((partition) => ({ topic, partition })),
  );
}
