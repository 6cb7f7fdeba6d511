import type { Position } from '../../operators/ports.ts';
import type { KafkaCluster } from './cluster.ts';

/** Marks a commit by somebody who is no member of the group. */
const NO_MEMBER = { groupGenerationId: -1, memberId: '' };
const NOTHING_COMMITTED = '-1';

/** Commits positions without joining the group, which costs one request. The group must have no members then. */
export async function commitPositions(
  cluster: KafkaCluster,
  groupId: string,
  positions: readonly Position[],
): Promise<void> {
  const topics = [...new Set(positions.map(({ topic }) => topic))].map((topic) => ({
    topic,
    partitions: positions
      .filter((position) => position.topic === topic)
      .map(({ partition, offset }) => ({ partition, offset: String(offset), metadata: '' })),
  }));
  await cluster.run(topics.map(({ topic }) => topic).join(', '), async (client) => {
    const coordinator = await client.findGroupCoordinator({ groupId });
    await coordinator.offsetCommit({ groupId, ...NO_MEMBER, topics });
  });
}

export async function committedPositions(
  cluster: KafkaCluster,
  groupId: string,
  topic: string,
  partitions: number,
): Promise<readonly Position[]> {
  const all = Array.from({ length: partitions }, (_, partition) => ({ partition }));
  const { responses } = await cluster.run(topic, async (client) => {
    const coordinator = await client.findGroupCoordinator({ groupId });
    return coordinator.offsetFetch({ groupId, topics: [{ topic, partitions: all }] });
  });
  return responses
    .flatMap((response) => response.partitions)
    .filter(({ offset }) => offset !== NOTHING_COMMITTED)
    .map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) }))
    .toSorted((a, b) => a.partition - b.partition);
}
