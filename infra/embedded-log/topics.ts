import { MillraceError } from '../../operators/errors.ts';
import type { TopicSettings } from '../../operators/ports.ts';
import type { Storage, TopicRow } from './storage.ts';

const MAX_PARTITIONS = 10_000;

/** The topics of a log. They never change once made, so each is read from LMDB once. */
export class Topics {
  readonly #storage: Storage;
  readonly #known = new Map<string, TopicRow>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async create(name: string, settings: TopicSettings): Promise<void> {
    checkName(name);
    checkSettings(name, settings);
    const row = this.#find(name) ?? (await this.#storage.write(() => this.#findOrMake(name, settings)));
    const wanted = settings.partitions ?? row.partitions;
    if (row.partitions === wanted) return;
    throw new MillraceError(
      'topic-mismatch',
      `Topic ${name} has ${row.partitions} partition(s), not ${wanted}. Ask for ${row.partitions}, or use another name: ` +
        'the number cannot be changed, since keys would change their partition.',
    );
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

/** Kafka's rule, so that a graph can move between logs. */
function checkName(name: string): void {
  if (/^[A-Za-z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..') return;
  throw new MillraceError(
    'bad-usage',
    `"${name}" cannot be the name of a topic. Use 1 to 249 letters, digits, dots, underscores and hyphens.`,
  );
}

function checkSettings(name: string, { partitions = 1, retentionBytes = 1, retentionMs = 1 }: TopicSettings): void {
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS) {
    throw new MillraceError('bad-usage', `Topic ${name} needs 1 to ${MAX_PARTITIONS} partitions, not ${partitions}.`);
  }
  if (retentionBytes > 0 && retentionMs > 0) return;
  throw new MillraceError('bad-usage', `The retention of topic ${name} must be more than 0; leave it out to keep all.`);
}
