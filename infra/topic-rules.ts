import { MillraceError } from '../operators/errors.ts';
import type { TopicRetention, TopicSettings, Transaction } from '../operators/ports.ts';

/** What every log asks of names and settings, so that a graph can move between logs. */

const MAX_PARTITIONS = 10_000;

/** Kafka's own rule. */
export function checkTopicName(name: string): void {
  if (/^[A-Za-z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..') return;
  throw new MillraceError(
    'bad-usage',
    `"${name}" cannot be the name of a topic. Use 1 to 249 letters, digits, dots, underscores and hyphens.`,
  );
}

export function checkTopicSettings(
  name: string,
  { partitions = 1, retentionBytes = 1, retentionMs = 1 }: TopicSettings,
): void {
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS) {
    throw new MillraceError('bad-usage', `Topic ${name} needs 1 to ${MAX_PARTITIONS} partitions, not ${partitions}.`);
  }
  if (retentionBytes > 0 && retentionMs > 0) return;
  throw new MillraceError('bad-usage', `The retention of topic ${name} must be more than 0; leave it out to keep all.`);
}

/** A retention with only those limits that there are. */
export function definedRetention(retentionBytes: number | undefined, retentionMs: number | undefined): TopicRetention {
  return {
    ...(retentionBytes === undefined ? {} : { retentionBytes }),
    ...(retentionMs === undefined ? {} : { retentionMs }),
  };
}

/** A topic that is there with another number of partitions. */
export function topicMismatch(name: string, actual: number, wanted: number): MillraceError {
  return new MillraceError(
    'topic-mismatch',
    `Topic ${name} has ${actual} partition(s), not ${wanted}. Ask for ${actual}, or use another name: the number cannot ` +
      'be changed, since keys would change their partition.',
  );
}

/** LMDB makes a key of it, whose length has a limit. */
export function checkGroup(group: string): void {
  if (group.length >= 1 && group.length <= 249) return;
  throw new MillraceError('bad-usage', `"${group.slice(0, 40)}" cannot name a group: use 1 to 249 characters.`);
}

/** What LMDB can make a key of, and room for a group, a topic and a partition. */
export function checkTransactionalId(id: string): void {
  if (id.length >= 1 && id.length <= 600) return;
  throw new MillraceError('bad-usage', `"${id.slice(0, 40)}" cannot name transactions: use 1 to 600 characters.`);
}

/** A transaction without a position could not be told from one that was not carried out. */
export function checkTransaction({ positions }: Transaction): void {
  if (positions.length > 0) return;
  throw new MillraceError('bad-usage', 'A transaction needs at least one position: what its records were made of.');
}
