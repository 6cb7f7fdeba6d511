import { setTimeout as sleep } from 'node:timers/promises';
import type { JoinedGroup, NodeConnection } from 'kafkajs/src/cluster/index.js';
import { BehaviorSubject } from 'rxjs';
import type { Observable } from 'rxjs';
import type { PartitionId } from '../../../operators/ports.ts';
import type { KafkaCluster } from '../cluster.ts';
import { askCoordinator } from './coordinator.ts';
import type { Answer } from './coordinator.ts';
import { decodeAssignment, decodeClaim, encodeAssignment, encodeSubscription } from './messages.ts';
import type { Claim } from './messages.ts';
import { shareOut } from './share-out.ts';

/** A time during which the group is shared out in one way. */
export interface Generation {
  readonly id: number;
  readonly memberId: string;
  /** That are ours in it. */
  readonly partitions: readonly PartitionId[];
}

export interface GroupMemberOptions {
  readonly cluster: KafkaCluster;
  readonly group: string;
  readonly topics: readonly string[];
  /** Without a sign of life for so long a member's partitions go to others. */
  readonly sessionMs: number;
  /** Partitions of a topic as there are now. */
  readonly countOf: (topic: string) => Promise<number>;
  /** Called before partitions may go to others: resolves when nothing more is done with them. */
  readonly giveBack: () => Promise<void>;
  /** The partitions have gone to others. */
  readonly onFenced: () => void;
  /** The member can not go on. */
  readonly onFault: (error: unknown) => void;
}

/** Only members that know this name may join, since the partitions of others would not be handed over at cuts. */
const PROTOCOL = 'millrace';
/** How long the group waits for a member that lives and makes its cut. */
const REBALANCE_MS = 300_000;
const MOST_BETWEEN_HEARTBEATS_MS = 3000;
const HEARTBEATS_PER_SESSION = 10;
const LOOK_EVERY_MS = 5000;
const LEAVE_WITHIN_MS = 2000;

/**
 * A member of a consumer group: joins, sends signs of life however long steps take, gives partitions back before the group
 * is shared out anew, and joins again, also after it was put out. The leader among the members shares out, and looks whether
 * topics have got more partitions.
 */
export class GroupMember {
  readonly #options: GroupMemberOptions;
  readonly #generations = new BehaviorSubject<Generation | null>(null);
  readonly #closed = new AbortController();
  #memberId = '';
  #isLeader = false;
  #counts = '';
  #lookedAtMs = 0;
  #claim: Claim = { owned: [], generation: -1 };
  #running: Promise<void> | null = null;

  constructor(options: GroupMemberOptions) {
    this.#options = options;
  }

  /** The generation that the member is in; null while the group is being shared out. */
  get generations(): Observable<Generation | null> {
    return this.#generations;
  }

  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      if (!this.#isClosed) this.#options.onFault(error);
    });
  }

  /** Leaves, so that others need not wait for the session to end. Returns soon, also when no broker answers. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#closed.abort();
    const { cluster } = this.#options;
    // A request to join may be held back for minutes.
    await cluster.close();
    await settledWithin(LEAVE_WITHIN_MS, this.#running);
    if (this.#memberId !== '') await settledWithin(LEAVE_WITHIN_MS, this.#leave());
    await cluster.close();
  }

  get #isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const generation = await this.#join();
      if (!generation || this.#isClosed) continue;
      this.#claim = { owned: generation.partitions, generation: generation.id };
      this.#generations.next(generation);
      const isFenced = await this.#stay(generation);
      this.#generations.next(null);
      if (!isFenced) continue;
      this.#memberId = '';
      this.#options.onFenced();
    }
  }

  /** Null when it has to be tried again. */
  async #join(): Promise<Generation | null> {
    const { group: groupId, topics, sessionMs } = this.#options;
    const joined = await this.#ask((coordinator) =>
      coordinator.joinGroup({
        groupId,
        memberId: this.#memberId,
        sessionTimeout: sessionMs,
        rebalanceTimeout: REBALANCE_MS,
        groupProtocols: [{ name: PROTOCOL, metadata: encodeSubscription(topics, this.#claim) }],
      }),
    );
    if ('refused' in joined) return this.#refused(joined.refused);
    const { memberId, leaderId, generationId } = joined.value;
    this.#memberId = memberId;
    this.#isLeader = memberId === leaderId;
    const groupAssignment = this.#isLeader ? await this.#shareOut(joined.value) : [];
    const synced = await this.#ask((coordinator) =>
      coordinator.syncGroup({ groupId, memberId, generationId, groupAssignment }),
    );
    if ('refused' in synced) return this.#refused(synced.refused);
    return { id: generationId, memberId, partitions: decodeAssignment(synced.value.memberAssignment) };
  }

  #refused(why: 'fenced' | 'rebalance'): null {
    if (why === 'fenced') this.#memberId = '';
    return null;
  }

  async #shareOut({
    members,
  }: JoinedGroup): Promise<readonly { readonly memberId: string; readonly memberAssignment: Buffer }[]> {
    const partitions: PartitionId[] = [];
    for (const [topic, count] of await this.#look()) {
      partitions.push(...Array.from({ length: count }, (_, partition) => ({ topic, partition })));
    }
    const claimants = members.map(({ memberId, memberMetadata }) => ({ memberId, ...decodeClaim(memberMetadata) }));
    return [...shareOut(partitions, claimants)].map(([memberId, share]) => {
      return { memberId, memberAssignment: encodeAssignment(share) };
    });
  }

  /** Sends signs of life until the partitions have been given back; true when they are lost. */
  async #stay({ id: groupGenerationId, memberId }: Generation): Promise<boolean> {
    const { group: groupId, sessionMs } = this.#options;
    const betweenMs = Math.min(sessionMs / HEARTBEATS_PER_SESSION, MOST_BETWEEN_HEARTBEATS_MS);
    let givingBack: Promise<'given-back'> | null = null;
    while (!this.#isClosed) {
      const beat = await this.#ask((coordinator) => coordinator.heartbeat({ groupId, groupGenerationId, memberId }));
      const refused = 'refused' in beat ? beat.refused : null;
      if (refused === 'fenced') return true;
      if (refused === 'rebalance' || (await this.#hasMorePartitions())) {
        givingBack ??= this.#options.giveBack().then(() => 'given-back');
      }
      if ((await this.#pause(betweenMs, givingBack)) === 'given-back') return false;
    }
    return false;
  }

  async #pause(ms: number, givingBack: Promise<'given-back'> | null): Promise<unknown> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#closed.signal]);
    const pause = sleep(ms, null, { signal }).catch(() => null);
    const first = await Promise.race([pause, ...(givingBack ? [givingBack] : [])]);
    over.abort();
    return first;
  }

  async #hasMorePartitions(): Promise<boolean> {
    if (!this.#isLeader || performance.now() < this.#lookedAtMs + LOOK_EVERY_MS) return false;
    const before = this.#counts;
    await this.#look();
    return this.#counts !== before;
  }

  async #look(): Promise<readonly (readonly [string, number])[]> {
    const counts: (readonly [string, number])[] = [];
    for (const topic of this.#options.topics) counts.push([topic, await this.#options.countOf(topic)]);
    this.#lookedAtMs = performance.now();
    this.#counts = JSON.stringify(counts);
    return counts;
  }

  async #leave(): Promise<void> {
    const { cluster, group: groupId } = this.#options;
    const memberId = this.#memberId;
    const deadlineMs = performance.now() + LEAVE_WITHIN_MS;
    await askCoordinator(
      cluster,
      groupId,
      '',
      (coordinator) => coordinator.leaveGroup({ groupId, memberId }),
      () => performance.now() < deadlineMs,
    );
  }

  #ask<T>(request: (coordinator: NodeConnection) => Promise<T>): Promise<Answer<T>> {
    const { cluster, group } = this.#options;
    return askCoordinator(cluster, group, '', request, () => !this.#isClosed);
  }
}

/** Resolves when the work is over, well or not, or after so long. */
async function settledWithin(ms: number, work: Promise<void> | null): Promise<void> {
  const over = new AbortController();
  const late = sleep(ms, undefined, { signal: over.signal }).catch(() => undefined);
  await Promise.race([late, work?.catch(() => undefined)]);
  over.abort();
}
