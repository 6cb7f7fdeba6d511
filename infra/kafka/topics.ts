import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin, Kafka } from 'kafkajs';
import { MillraceError } from '../../operators/errors.ts';
import type { TopicRetention, TopicSettings } from '../../operators/ports.ts';
import { checkTopicName, checkTopicSettings, definedRetention, topicMismatch } from '../topic-rules.ts';
import type { KafkaCluster } from './cluster.ts';
import { topicMissing } from './failure.ts';
import type { Patience } from './patience.ts';

/** As in the embedded log, and some room for what Kafka adds. */
const MAX_RECORD_BYTES = 17 * 1024 * 1024;
const KNOWN_WITHIN_MS = 5000;
const LOOK_AGAIN_MS = 20;
/** Kafka keeps its own state in topics that begin like this. */
const INTERNAL = '__';
const UNLIMITED = -1;
const BROKER_DEFAULT = -1;
/** `ConfigResourceTypes.TOPIC`, which kafkajs does not export in a way that ES modules see. */
const TOPIC_RESOURCE = 2;

/** The topics of a cluster. How many partitions one has is asked once, and again when somebody looks. */
export class KafkaTopics {
  readonly #cluster: KafkaCluster;
  readonly #kafka: Kafka;
  readonly #patience: Patience;
  readonly #known = new Map<string, number>();
  #admin: Promise<Admin> | null = null;
  #isClosed = false;

  constructor(cluster: KafkaCluster, kafka: Kafka, patience: Patience) {
    this.#cluster = cluster;
    this.#kafka = kafka;
    this.#patience = patience;
  }

  /** Topics that are made keep all records unless a retention is given: Kafka's own default drops them after a week. */
  async create(name: string, settings: TopicSettings): Promise<void> {
    checkTopicName(name);
    checkTopicSettings(name, settings);
    const partitions = (await this.#find(name)) ?? (await this.#make(name, settings));
    const wanted = settings.partitions ?? partitions;
    if (partitions !== wanted) throw topicMismatch(name, partitions, wanted);
  }

  async list(): Promise<readonly { readonly name: string; readonly partitions: number }[]> {
    const { topics } = await this.#administer('', (admin) => admin.fetchTopicMetadata());
    return topics
      .filter(({ name }) => !name.startsWith(INTERNAL))
      .map(({ name, partitions }) => ({ name, partitions: partitions.length }));
  }

  /** The number of its partitions. Rejects with `topic-missing`. */
  async partitionsOf(name: string): Promise<number> {
    const known = this.#known.get(name) ?? (await this.#cluster.partitionsOf(name));
    this.#known.set(name, known);
    return known;
  }

  /** The number of its partitions now: some may have been added, or the topic deleted. Rejects with `topic-missing`. */
  async look(name: string): Promise<number> {
    this.#known.delete(name);
    return this.partitionsOf(name);
  }

  /** What the topic drops by now, whoever has set it. Rejects with `topic-missing`. */
  async retentionOf(name: string): Promise<TopicRetention> {
    await this.partitionsOf(name);
    const query = { type: TOPIC_RESOURCE, name, configNames: ['retention.bytes', 'retention.ms'] };
    const { resources } = await this.#administer(name, (admin) =>
      admin.describeConfigs({ resources: [query], includeSynonyms: false }),
    );
    const entries = resources.flatMap(({ configEntries }) => configEntries);
    const limit = (entry: string): number | undefined => {
      const value = Number(entries.find(({ configName }) => configName === entry)?.configValue ?? UNLIMITED);
      return value < 0 ? undefined : value;
    };
    return definedRetention(limit('retention.bytes'), limit('retention.ms'));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#disconnect();
  }

  async #disconnect(): Promise<void> {
    await this.#admin?.then((admin) => admin.disconnect()).catch(() => undefined);
  }

  async #find(name: string): Promise<number | null> {
    try {
      return await this.partitionsOf(name);
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'topic-missing') return null;
      throw error;
    }
  }

  async #make(name: string, { partitions = 1, retentionBytes, retentionMs }: TopicSettings): Promise<number> {
    const settings = {
      'retention.bytes': retentionBytes ?? UNLIMITED,
      'retention.ms': retentionMs ?? UNLIMITED,
      'max.message.bytes': MAX_RECORD_BYTES,
    };
    const configEntries = Object.entries(settings).map(([key, value]) => ({ name: key, value: String(value) }));
    const topic = { topic: name, numPartitions: partitions, replicationFactor: BROKER_DEFAULT, configEntries };
    // False when somebody else has made it meanwhile. kafkajs's own waiting fails when the broker has not heard of it yet.
    await this.#administer(name, (admin) => admin.createTopics({ topics: [topic], waitForLeaders: false }));
    return this.#untilKnown(name);
  }

  /** The broker that is asked may hear of a new topic a little later than the one that made it. */
  async #untilKnown(name: string): Promise<number> {
    for (const startMs = performance.now(); performance.now() < startMs + KNOWN_WITHIN_MS; await sleep(LOOK_AGAIN_MS)) {
      const partitions = await this.#find(name);
      if (partitions) return partitions;
    }
    throw topicMissing(name);
  }

  #administer<T>(topic: string, work: (admin: Admin) => Promise<T>): Promise<T> {
    return this.#patience.run({
      topic,
      work: async () => {
        this.#admin ??= connected(this.#kafka.admin());
        return work(await this.#admin);
      },
      onFailure: () => {
        void this.#disconnect();
        this.#admin = null;
      },
      isWanted: () => !this.#isClosed,
    });
  }
}

async function connected(admin: Admin): Promise<Admin> {
  await admin.connect();
  return admin;
}
