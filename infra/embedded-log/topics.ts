import { MillraceError } from '../../operators/errors.ts';
import type { TopicSettings } from '../../operators/ports.ts';
import { checkTopicName, checkTopicSettings, topicMismatch } from '../topic-rules.ts';
import type { Storage, TopicRow } from './storage.ts';

/** The topics of a log. They never change once made, so each is read from LMDB once. */
export class Topics {
  readonly #storage: Storage;
  readonly #known = new Map<string, TopicRow>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async create(name: string, settings: TopicSettings): Promise<void> {
    checkTopicName(name);
    checkTopicSettings(name, settings);
    const row = this.#find(name) ?? (await this.#storage.write(() => this.#findOrMake(name, settings)));
    const wanted = settings.partitions ?? row.partitions;
    if (row.partitions !== wanted) throw topicMismatch(name, row.partitions, wanted);
  }

  list(): readonly { readonly name: string; readonly partitions: number }[] {
    this.#storage.refresh();
    return [...this.#storage.topics.getRange()].map(({ key, value }) => ({ name: key, partitions: value.partitions }));
  }

  /** Throws `topic-missing`. */
  get(name: string): TopicRow {
    const known = this.#known.get(name) ?? this.#find(name);
    if (known) return known;
    throw new MillraceError('topic-missing', `There is no topic ${name}. Create it, or check the spelling.`);
  }

  /** The id of one partition. Throws `topic-missing`. */
  idOf(name: string, partition: number): number {
    const { firstId, partitions } = this.get(name);
    if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return firstId + partition;
    throw new MillraceError(
      'topic-missing',
      `Topic ${name} has no partition ${partition}: its partitions are 0 to ${partitions - 1}.`,
    );
  }

  #find(name: string): TopicRow | undefined {
    this.#storage.refresh();
    const row = this.#storage.topics.get(name);
    if (row) this.#known.set(name, row);
    return row;
  }

  /** Inside a write transaction, since another process may have made it by now. */
  #findOrMake(name: string, settings: TopicSettings): TopicRow {
    const { topics, partitions } = this.#storage;
    const existing = topics.get(name);
    if (existing) return existing;
    const made: TopicRow = { ...settings, partitions: settings.partitions ?? 1, firstId: this.#nextId() };
    topics.putSync(name, made);
    for (let id = made.firstId; id < made.firstId + made.partitions; id += 1) {
      partitions.putSync(id, { start: 0, end: 0, bytes: 0 });
    }
    return made;
  }

  #nextId(): number {
    let next = 0;
    for (const { value } of this.#storage.topics.getRange()) next = Math.max(next, value.firstId + value.partitions);
    return next;
  }
}
