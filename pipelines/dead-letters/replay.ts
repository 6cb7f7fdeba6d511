import { z } from 'zod';
import type { TopicLog, TopicRecord, Transactions } from '../../operators/ports.ts';
import type { LogRecord } from '../../operators/types.ts';
import { DEAD_LETTER_TOPIC } from '../spec/lint-topics.ts';
import { follow, positionsFrom } from '../topics/follow.ts';
import { jsonOf, textOf } from '../topics/published.ts';
import { findLetters, noSuchLetter, placeOf } from './letters.ts';
import type { Letter, LetterFilter } from './letters.ts';

export interface ReplayOptions {
  readonly filter: LetterFilter;
  /** Also letters that were replayed before. */
  readonly again: boolean;
  /** Only says what would be done. */
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  /** Told of each letter, once what became of it is safe. */
  readonly onLetter: (letter: Letter, outcome: Outcome) => Promise<void>;
}

/**
 * `replayed-before` is left out unless asked for; of `gone` nothing is there that could be produced; what was `sent` to a webhook
 * came from a topic that has it.
 */
export type Outcome = 'replayed' | 'replayed-before' | 'gone' | 'sent';

/** When each dead record was replayed last, by its place: a job that was killed may have buried one twice. */
export type Replays = ReadonlyMap<string, number>;

/** Remembers replays, by place of the record. Letters themselves can't be marked, since logs only append. */
const REPLAYS_TOPIC = 'deadletters-replayed';
/** Replays of two processes at once wait for each other by it: the older gives way. */
const TRANSACTIONS = 'millrace-deadletters';
/** Letters of one transaction. */
const TOGETHER = 100;

const replaySchema = z.object({ record: z.string(), letter: z.string(), replayedAtMs: z.number() });

/**
 * Produces the records of dead letters to the topics and partitions that they came from, as they were: with their own
 * headers where the topic still has them. The new record bears the letter's id in the header `millrace-replayed`. Record
 * and memory of it are committed together, so that none is replayed twice unless asked for, whatever dies on the way.
 *
 * Errors: `topic-missing` when a topic is gone, `bad-usage` for ids that there are not, and the log's own; what was told
 * of by then stays.
 */
export async function replayLetters(log: TopicLog, options: ReplayOptions): Promise<void> {
  const { filter, again, dryRun, signal, onLetter } = options;
  const transactions = dryRun ? null : await openTransactions(log);
  try {
    const done = new Set((await readReplays(log, signal)).keys());
    const chosen = new Set<string>();
    const missing = new Set(filter.ids);
    let together: Letter[] = [];
    const flush = async (): Promise<void> => {
      const letters = together;
      together = [];
      await replayTogether(log, transactions, letters, onLetter);
    };
    for await (const letter of findLetters(log, filter, signal)) {
      missing.delete(letter.id);
      if (letter.code === 'webhook-failed') {
        await onLetter(letter, 'sent');
        continue;
      }
      const record = placeOf(letter);
      const isDone = chosen.has(record) || (done.has(record) && !again);
      chosen.add(record);
      if (isDone) await onLetter(letter, 'replayed-before');
      else together.push(letter);
      if (together.length === TOGETHER) await flush();
    }
    if (!signal.aborted) await flush();
    if (missing.size > 0 && !signal.aborted) throw noSuchLetter([...missing]);
  } finally {
    await transactions?.close();
  }
}

/** What was replayed so far. */
export async function readReplays(log: TopicLog, signal: AbortSignal): Promise<Replays> {
  const replays = new Map<string, number>();
  const topics = await log.topics();
  if (!topics.some(({ name }) => name === REPLAYS_TOPIC)) return replays;
  const positions = await positionsFrom(log, REPLAYS_TOPIC, 'earliest', null);
  for await (const records of follow(log, positions, { signal, untilEnd: true })) {
    for (const { value } of records) {
      const parsed = replaySchema.safeParse(jsonOf((value && textOf(value)) ?? ''));
      if (parsed.success) replays.set(parsed.data.record, parsed.data.replayedAtMs);
    }
  }
  return replays;
}

async function openTransactions(log: TopicLog): Promise<Transactions> {
  await log.createTopic(REPLAYS_TOPIC);
  return log.transactions(TRANSACTIONS, TRANSACTIONS);
}

/** Without transactions nothing is produced. */
async function replayTogether(
  log: TopicLog,
  transactions: Transactions | null,
  letters: readonly Letter[],
  onLetter: ReplayOptions['onLetter'],
): Promise<void> {
  const replayedAtMs = Date.now();
  const outcomes: (readonly [Letter, Outcome])[] = [];
  const records: TopicRecord[] = [];
  for (const letter of letters) {
    const record = await toReplay(log, letter);
    outcomes.push([letter, record ? 'replayed' : 'gone']);
    const key = placeOf(letter);
    const memory = JSON.stringify({ record: key, letter: letter.id, replayedAtMs });
    if (record) records.push(record, { topic: REPLAYS_TOPIC, key, value: memory });
  }
  const last = letters.at(-1);
  if (transactions && last && records.length > 0) {
    const [partition, offset] = last.id.split(':').map(Number);
    // The group's position tells whether a transaction went through, so no two may be the same.
    const position = { topic: DEAD_LETTER_TOPIC, partition: partition ?? 0, offset: (offset ?? 0) + 1 };
    await transactions.commit({ records, positions: [{ ...position, metadata: `${last.id} ${replayedAtMs}` }] });
  }
  for (const [letter, outcome] of outcomes) await onLetter(letter, outcome);
}

/** The record to be produced; null where neither its topic nor the letter has a value any more. */
async function toReplay(log: TopicLog, letter: Letter): Promise<TopicRecord | null> {
  const { topic, partition } = letter.at;
  const original = await readOriginal(log, letter);
  const { key, value, headers } = original ?? { ...letter, headers: {} };
  if (value === null) return null;
  return { topic, partition, key, value, headers: { ...headers, 'millrace-replayed': letter.id } };
}

/** The dead record in its own topic, if it is still there and is the same: a topic may have been made anew. */
async function readOriginal(log: TopicLog, { at, value }: Letter): Promise<LogRecord | null> {
  const there = (await log.offsets(at.topic)).find(({ partition }) => partition === at.partition);
  if (!there || at.offset < there.start || at.offset >= there.end) return null;
  const reader = log.reader([at]);
  try {
    const [record] = await reader.poll({ maxRecords: 1 });
    if (record?.offset !== at.offset) return null;
    const isSame = value === null || (record.value !== null && Buffer.compare(record.value, value) === 0);
    return isSame ? record : null;
  } finally {
    await reader.close();
  }
}
