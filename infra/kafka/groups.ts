import type { Position } from '../../operators/ports.ts';
import type { KafkaCluster } from './cluster.ts';

/** Marks a commit by somebody who is no member of the group. */
const NO_MEMBER = { groupGenerationId: -1, memberId: '' };
const NOTHING_COMMITTED = '-1';

/** Positions as Kafka's requests have them. */
interface TopicOffsets {
  readonly topic: string;
  readonly partitions: { partition: number; offset: string; metadata: string }[];
}

export function toTopicOffsets(positions: readonly Position[]): TopicOffsets[] {
  return [...new Set(positions.map(({ topic }) => topic))].map((topic) => ({
    topic,
    partitions: positions
      .filter((position) => position.topic === topic)
      .map(({ partition, offset, metadata = '' }) => ({ partition, offset: String(offset), metadata })),
  }));
}

/** Commits positions without joining the group, which costs one request. The group must have no members then. */
export async function commitPositions(
  cluster: KafkaCluster,
  groupId: string,
  positions: readonly Position[],
): Promise<void> {
  const topics = toTopicOffsets(positions);
  await cluster.run(topics.map(({ topic }) => topic).join(', '), async (client) => {
    const coordinator = await client.findGroupCoordinator({ groupId });
    await coordinator.offsetCommit({ groupId, ...NO_MEMBER, topics });
  });
}

/** A group's positions in one topic, by partition. */
export function committedPositions(
  cluster: KafkaCluster,
  groupId: string,
  topic: string,
  count: number,
): Promise<readonly Position[]> {
  const partitions = Array.from({ length: count }, (_, partition) => ({ partition }));
  return fetchPositions(cluster, groupId, [{ topic, partitions }]);
}

/** A group's positions in all topics. */
export function allCommittedPositions(cluster: KafkaCluster, groupId: string): Promise<readonly Position[]> {
  // No topics are all topics.
  return fetchPositions(cluster, groupId, []);
}

/** A group's positions in some partitions, or in all of them when none are named. */
export async function fetchPositions(
  cluster: KafkaCluster,
  groupId: string,
  topics: readonly { readonly topic: string; readonly partitions: readonly { readonly partition: number }[] }[],
): Promise<readonly Position[]> {
  const { responses } = await cluster.run(topics.map(({ topic }) => topic).join(', '), async (client) => {
    const coordinator = await client.findGroupCoordinator({ groupId });
    return coordinator.offsetFetch({ groupId, topics });
  });
  return responses
    .flatMap(({ topic, partitions }) => partitions.map((each) => ({ topic, ...each })))
    .filter(({ offset }) => offset !== NOTHING_COMMITTED)
    .map(({ topic, partition, offset, metadata }) => {
      return { topic, partition, offset: Number(offset), ...(metadata ? { metadata } : {}) };
    })
    .toSorted((a, b) => a.partition - b.partition);
}
