import { MillraceError } from '../../operators/errors.ts';
import type { PartitionId, TopicLog } from '../../operators/ports.ts';
import type { Coordinates, LogRecord } from '../../operators/types.ts';
import { DEAD_LETTER_TOPIC } from '../spec/lint-topics.ts';
import { follow, positionsFrom } from '../topics/follow.ts';

/** A dead letter as it lies in its topic. */
export interface Letter {
  /** Partition and offset of the letter itself, such as `0:12`. */
  readonly id: string;
  /** The record that is dead. */
  readonly at: Coordinates;
  readonly code: string;
  readonly message: string;
  /** When it was buried. */
  readonly timestampMs: number;
  /** As the record had them; both null where only its coordinates were at hand. */
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** Which letters are meant; what is absent lets all pass. */
export interface LetterFilter {
  readonly ids?: readonly string[];
  readonly code?: string;
  /** Topic that the record came from. */
  readonly topic?: string;
  readonly sinceMs?: number;
}

/** `0:12`, or `12` for `0:12`, since the topic has one partition unless somebody made it with more. */
export function letterId(text: string): string | null {
  const [, partition = '0', offset] = /^(?:(\d+):)?(\d+)$/.exec(text) ?? [];
  return offset === undefined ? null : `${Number(partition)}:${Number(offset)}`;
}

/** Where the dead record lies: `text/0@17`. */
export function placeOf({ at }: Letter): string {
  return `${at.topic}/${at.partition}@${at.offset}`;
}

/** Letters that fit, as they lie, up to where the topic ends now. Records that are none are passed over. */
export async function* findLetters(log: TopicLog, filter: LetterFilter, signal: AbortSignal): AsyncGenerator<Letter> {
  const positions = await positionsFrom(log, DEAD_LETTER_TOPIC, 'earliest', null);
  for await (const records of follow(log, positions, { signal, untilEnd: true })) {
    for (const record of records) {
      const letter = readLetter(record);
      if (letter && fits(letter, filter)) yield letter;
    }
  }
}

/** Rejects with `bad-usage` when there is no such letter. */
export async function findLetter(log: TopicLog, id: string, signal: AbortSignal): Promise<Letter> {
  for await (const letter of findLetters(log, { ids: [id] }, signal)) return letter;
  throw noSuchLetter([id]);
}

export function noSuchLetter(ids: readonly string[]): MillraceError {
  return new MillraceError(
    'bad-usage',
    `There is no dead letter ${ids.join(', ')}. See millrace deadletters list for those that there are.`,
  );
}

/** What the headers of a dead letter say, or null for a record that is none. */
export function readLetter({ partition, offset, headers, key, value, timestampMs }: LogRecord): Letter | null {
  const { topic, code, message, timestamp = '' } = headers;
  const at = coordinatesIn(topic, headers);
  if (!at || code === undefined || message === undefined) return null;
  const buriedMs = Date.parse(timestamp);
  return {
    id: idOf({ partition }, offset),
    at,
    code,
    message,
    timestampMs: Number.isNaN(buriedMs) ? timestampMs : buriedMs,
    key,
    value,
  };
}

function coordinatesIn(topic: string | undefined, headers: LogRecord['headers']): Coordinates | null {
  const [partition, offset] = [Number(headers['partition']), Number(headers['offset'])];
  if (topic === undefined || !Number.isSafeInteger(partition) || !Number.isSafeInteger(offset)) return null;
  return { topic, partition, offset };
}

function idOf({ partition }: Pick<PartitionId, 'partition'>, offset: number): string {
  return `${partition}:${offset}`;
}

function fits({ id, at, code, timestampMs }: Letter, filter: LetterFilter): boolean {
  return (
    (filter.ids?.includes(id) ?? true) &&
    (filter.code ?? code) === code &&
    (filter.topic ?? at.topic) === at.topic &&
    timestampMs >= (filter.sinceMs ?? -Infinity)
  );
}
