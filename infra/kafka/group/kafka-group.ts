import { EMPTY, Observable, from, switchMap } from 'rxjs';
import type { Subscriber } from 'rxjs';
import { MillraceError } from '../../../operators/errors.ts';
import type {
  AssignedPartition,
  Assignment,
  GroupMembership,
  GroupOptions,
  LedgerPlace,
  Position,
  TopicLog,
} from '../../../operators/ports.ts';
import { KafkaCluster } from '../cluster.ts';
import type { KafkaConnection } from '../cluster.ts';
import { fetchPositions, toTopicOffsets } from '../groups.ts';
import { askCoordinator } from './coordinator.ts';
import { decodePlace, encodePlace } from './counted-place.ts';
import { GroupMember } from './member.ts';
import type { Generation } from './member.ts';

const SESSION_MS = 30_000;

/** Who reads what this member is given. */
interface Watcher {
  readonly subscriber: Subscriber<Assignment>;
  readonly handOver: () => Promise<void>;
  /** Resolves when it reads no more. */
  readonly gone: Promise<void>;
}

/** A job's membership of a consumer group. GROUPS.md says what it guarantees, and how. */
export class KafkaGroup implements GroupMembership {
  readonly group: string;
  readonly #options: GroupOptions;
  readonly #cluster: KafkaCluster;
  readonly #member: GroupMember;
  #watcher: Watcher | null = null;
  #fault: unknown = null;

  constructor(connection: KafkaConnection, log: TopicLog, options: GroupOptions) {
    const { group, topics, sessionMs = SESSION_MS } = options;
    this.group = group;
    this.#options = options;
    // Connections of its own, since a request to join, which a broker may hold back, keeps others waiting behind it.
    this.#cluster = new KafkaCluster(connection);
    this.#member = new GroupMember({
      cluster: this.#cluster,
      group,
      topics,
      sessionMs,
      countOf: async (topic) => (await log.offsets(topic)).length,
      giveBack: () => this.#giveBack(),
      onFenced: () => this.#watcher?.subscriber.error(this.#fenced()),
      onFault: (error) => {
        this.#fault = error;
        this.#watcher?.subscriber.error(error);
      },
    });
  }

  async counted(): Promise<LedgerPlace | null> {
    const [committed] = await fetchPositions(this.#cluster, this.group, [this.#ledgerPartition]);
    return committed ? decodePlace(committed) : null;
  }

  watch(handOver: () => Promise<void>): Observable<Assignment> {
    return new Observable((subscriber) => {
      if (this.#fault !== null) {
        subscriber.error(this.#fault);
        return;
      }
      const gone = new Promise<void>((resolve) => subscriber.add(resolve));
      const watcher: Watcher = { subscriber, handOver, gone };
      this.#watcher = watcher;
      subscriber.add(() => {
        if (this.#watcher === watcher) this.#watcher = null;
      });
      this.#member.start();
      const assignments = this.#member.generations.pipe(
        switchMap((generation) => (generation ? from(this.#assignmentOf(generation, subscriber)) : EMPTY)),
      );
      subscriber.add(assignments.subscribe(subscriber));
    });
  }

  /** Leaves the group. What was not committed by then never will be. */
  async close(): Promise<void> {
    await this.#member.close();
  }

  get #ledgerPartition(): { readonly topic: string; readonly partitions: readonly { readonly partition: number }[] } {
    return { topic: this.#options.ledgerTopic, partitions: [{ partition: 0 }] };
  }

  async #giveBack(): Promise<void> {
    const watcher = this.#watcher;
    if (watcher) await Promise.race([watcher.handOver(), watcher.gone]);
  }

  async #assignmentOf(generation: Generation, watching: Subscriber<Assignment>): Promise<Assignment> {
    const { partitions } = generation;
    const topics = toTopicOffsets(partitions.map((at) => ({ ...at, offset: 0 })));
    const committed = topics.length > 0 ? await fetchPositions(this.#cluster, this.group, topics) : [];
    const assigned = partitions.map((at): AssignedPartition => {
      const known = committed.find(({ topic, partition }) => topic === at.topic && partition === at.partition);
      return { ...at, offset: known?.offset ?? null };
    });
    return {
      partitions: assigned,
      commit: async (positions, place) => {
        // Who watches no more may not commit any more either: somebody else of this process may go on already.
        if (watching.closed) throw this.#fenced();
        await this.#commit(generation, positions, place);
      },
    };
  }

  /** All in one request: brokers write it as one batch, or refuse all of it. */
  async #commit(generation: Generation, positions: readonly Position[], place: LedgerPlace): Promise<void> {
    const { group: groupId, job, ledgerTopic } = this.#options;
    const metadata = `job ${job}`;
    const all = [...positions.map((position) => ({ ...position, metadata })), encodePlace(ledgerTopic, job, place)];
    const concern = [...new Set(positions.map(({ topic }) => topic))].join(', ');
    const answer = await askCoordinator(this.#cluster, groupId, concern, (coordinator) =>
      coordinator.offsetCommit({
        groupId,
        groupGenerationId: generation.id,
        memberId: generation.memberId,
        topics: toTopicOffsets(all),
      }),
    );
    if ('refused' in answer) throw this.#fenced();
  }

  #fenced(): MillraceError {
    return new MillraceError(
      'group-fenced',
      `Group ${this.group} has given this job's partitions to others, since it gave no sign of life for too long or did not ` +
        'hand them over in time. What it did since its last cut that counts is done by them; it goes on from that cut.',
    );
  }
}
