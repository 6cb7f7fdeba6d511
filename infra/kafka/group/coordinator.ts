import type { NodeConnection } from 'kafkajs/src/cluster/index.js';
import type { KafkaCluster } from '../cluster.ts';
import { typeOf } from '../failure.ts';

/** Why a coordinator does not do what a member asks: it has been put out of the group, or the group is being shared out anew. */
export type Refusal = 'fenced' | 'rebalance';

export type Answer<T> = { readonly value: T } | { readonly refused: Refusal };

const REFUSALS: ReadonlyMap<string | null, Refusal> = new Map([
  ['UNKNOWN_MEMBER_ID', 'fenced'],
  ['ILLEGAL_GENERATION', 'fenced'],
  ['REBALANCE_IN_PROGRESS', 'rebalance'],
]);

/** Asks the coordinator of a group, as often as brokers are away. Other errors than refusals reject. */
export function askCoordinator<T>(
  cluster: KafkaCluster,
  groupId: string,
  concern: string,
  request: (coordinator: NodeConnection) => Promise<T>,
  isWanted?: () => boolean,
): Promise<Answer<T>> {
  return cluster.run<Answer<T>>(
    concern,
    async (client) => {
      const coordinator = await client.findGroupCoordinator({ groupId });
      try {
        return { value: await request(coordinator) };
      } catch (error) {
        const refused = REFUSALS.get(typeOf(error));
        if (refused) return { refused };
        throw error;
      }
    },
    isWanted,
  );
}
