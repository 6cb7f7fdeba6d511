import type { PartitionId } from '../../../operators/ports.ts';

/** A member, and what it says to have had until now. */
export interface Claimant {
  readonly memberId: string;
  readonly owned: readonly PartitionId[];
  /** Generation in which it had that; of two who say to have had a partition, the later one did. */
  readonly generation: number;
}

/**
 * Shares partitions out: as evenly as can be, and so that as few as can be change hands. The same for the same members and
 * partitions, whatever their order.
 */
export function shareOut(
  partitions: readonly PartitionId[],
  claimants: readonly Claimant[],
): ReadonlyMap<string, readonly PartitionId[]> {
  const members = claimants.toSorted((one, other) => (one.memberId < other.memberId ? -1 : 1));
  const shares = keptBy(members, partitions);
  const least = Math.floor(partitions.length / members.length);
  const withOneMore = new Set(
    members
      .map(({ memberId }) => memberId)
      .toSorted((one, other) => (shares.get(other)?.length ?? 0) - (shares.get(one)?.length ?? 0))
      .slice(0, partitions.length % members.length),
  );
  for (const [memberId, kept] of shares) kept.splice(least + (withOneMore.has(memberId) ? 1 : 0));
  const taken = new Set([...shares.values()].flat().map(keyOf));
  const free = partitions.filter((partition) => !taken.has(keyOf(partition)));
  for (const [memberId, share] of shares) {
    share.push(...free.splice(0, least + (withOneMore.has(memberId) ? 1 : 0) - share.length));
  }
  return shares;
}

/** What each member may keep of what it says to have had. */
function keptBy(members: readonly Claimant[], partitions: readonly PartitionId[]): Map<string, PartitionId[]> {
  const owners = new Map<string, Claimant>();
  for (const member of members) {
    for (const partition of member.owned) {
      const rival = owners.get(keyOf(partition));
      if (!rival || rival.generation < member.generation) owners.set(keyOf(partition), member);
    }
  }
  return new Map(
    members.map((member) => [
      member.memberId,
      partitions.filter((partition) => owners.get(keyOf(partition)) === member),
    ]),
  );
}

function keyOf({ topic, partition }: PartitionId): string {
  return `${topic}/${partition}`;
}
