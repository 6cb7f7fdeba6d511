import type { Position } from '../../operators/ports.ts';
import { checkGroup } from '../topic-rules.ts';
import type { GroupRow, Storage } from './storage.ts';
import type { Topics } from './topics.ts';

/** Checks positions, and returns what writes them, for use inside a write transaction. Throws `topic-missing`. */
export function positionsWriter(
  { groups }: Storage,
  topics: Topics,
  group: string,
  positions: readonly Position[],
): () => void {
  checkGroup(group);
  const rows = positions.map(({ topic, partition, offset, metadata }): [number, GroupRow] => [
    topics.idOf(topic, partition),
    metadata === undefined ? offset : { offset, metadata },
  ]);
  return () => {
    for (const [id, row] of rows) groups.putSync([group, id], row);
  };
}

export function committedPositions(
  storage: Storage,
  topics: Topics,
  group: string,
  topic: string,
): readonly Position[] {
  checkGroup(group);
  const { firstId, partitions } = topics.get(topic);
  storage.refresh();
  const rows = storage.groups.getRange({ start: [group, firstId], end: [group, firstId + partitions] });
  return [...rows].map(({ key, value }) => {
    const at = { topic, partition: key[1] - firstId };
    return typeof value === 'number' ? { ...at, offset: value } : { ...at, ...value };
  });
}
