import { beforeEach, describe, expect, it } from 'vitest';
import { logDeadLetters } from '../../../infra/index.ts';
import type { Coordinates, NewRecord, TopicLog } from '../../../operators/index.ts';
import { findLetters } from '../../../pipelines/dead-letters/letters.ts';
import type { Letter, LetterFilter } from '../../../pipelines/dead-letters/letters.ts';
import { replayLetters } from '../../../pipelines/dead-letters/replay.ts';
import type { Outcome, ReplayOptions } from '../../../pipelines/dead-letters/replay.ts';
import { readTopic } from '../../support/read-topic.ts';
import type { LogUnderTest } from './suite.ts';

const { signal } = new AbortController();

/** Dead letters are in one topic for all, so each test looks only at those of its own. */
export function describeDeadLetters(current: () => LogUnderTest): void {
  describe('dead letters', () => {
    let log: TopicLog;
    let topic: string;
    beforeEach(() => ({ log, topic } = current()));

    it('are found again with what they say, and by code, topic and time', async () => {
      const before = Date.now();
      const [bad, empty] = await bury(log, topic, [
        { value: Buffer.from([0xc3, 0x28]), key: 'k', partition: 1 },
        { value: null, partition: 1 },
      ]);
      const [first, second] = await lettersOf(log, { topic });
      expect(first).toMatchObject({ at: bad, code: 'record-not-utf8', message: 'Buried for its value.' });
      expect([first?.key, first?.value].map(String)).toEqual(['k', Buffer.from([0xc3, 0x28]).toString()]);
      expect(first?.timestampMs).toBeGreaterThanOrEqual(before);
      expect(second).toMatchObject({ at: empty, code: 'record-empty', key: null, value: null });
      expect(await lettersOf(log, { topic, code: 'record-empty' })).toEqual([second]);
      expect(await lettersOf(log, { topic, ids: [first?.id ?? ''] })).toEqual([first]);
      expect(await lettersOf(log, { topic, sinceMs: Date.now() + 1000 })).toEqual([]);
    });

    it('are replayed once, as the record was, unless they are to be again', async () => {
      const headers = { trace: '7' };
      await bury(log, topic, [{ value: 'x', key: 'k', headers, partition: 1 }]);
      const [letter] = await lettersOf(log, { topic });
      const outcomes: Outcome[][] = [];
      for (const more of [{ dryRun: true }, {}, {}, { again: true }]) {
        outcomes.push(await replay(log, { topic }, more));
      }
      expect(outcomes).toEqual([['replayed'], ['replayed'], ['replayed-before'], ['replayed']]);
      const [original, ...replayed] = await readTopic(log, topic);
      expect(replayed).toHaveLength(2);
      for (const { key, value, headers: own, partition } of replayed) {
        expect([key, value, partition]).toEqual([original?.key, original?.value, 1]);
        expect(own).toEqual({ ...headers, 'millrace-replayed': letter?.id });
      }
    });

    it('that a job buried twice, having died in between, are replayed once', async () => {
      const [at] = await bury(log, topic, [{ value: 'x' }]);
      await put(log, at, { value: 'x' });
      expect((await replay(log, { topic })).toSorted()).toEqual(['replayed', 'replayed-before']);
      expect(await readTopic(log, topic)).toHaveLength(2);
    });

    it('without a value of their own are replayed from the topic, where it still has them', async () => {
      const [at] = await bury(log, topic, [{ value: 'x' }]);
      await log.produce(topic, [{ value: 'no letter' }]);
      await put(log, at && { ...at, offset: at.offset + 1 }, { value: null }, 'non-finite-loss');
      await put(log, at && { ...at, offset: 99 }, { value: null }, 'non-finite-loss');
      expect((await replay(log, { topic, code: 'non-finite-loss' })).toSorted()).toEqual(['gone', 'replayed']);
      const values = (await readTopic(log, topic)).map(({ value }) => String(value));
      expect(values).toEqual(['x', 'no letter', 'no letter']);
    });

    it('are not replayed in place of another record that has come to lie where theirs was', async () => {
      const [at] = await bury(log, topic, [{ value: 'of today' }]);
      await put(log, at, { value: 'of a topic that was deleted' }, 'record-not-json');
      await replay(log, { topic, code: 'record-not-json' });
      expect((await readTopic(log, topic)).map(({ value }) => String(value))).toEqual([
        'of today',
        'of a topic that was deleted',
      ]);
    });

    it('that there are not can not be replayed', async () => {
      await bury(log, topic, [{ value: 'x' }]);
      await expect(replay(log, { ids: ['0:99999'] })).rejects.toMatchObject({ code: 'bad-usage' });
    });
  });
}

/** Produces records to a topic of two partitions, and buries each. */
async function bury(log: TopicLog, topic: string, records: readonly NewRecord[]): Promise<readonly Coordinates[]> {
  await log.createTopic(topic, { partitions: 2 });
  const all: Coordinates[] = [];
  for (const record of records) {
    const [at] = await log.produce(topic, [{ partition: 0, ...record }]);
    await put(log, at, record, record.value === null ? 'record-empty' : 'record-not-utf8');
    if (at) all.push(at);
  }
  return all;
}

async function put(
  log: TopicLog,
  at: Coordinates | undefined,
  { key = null, value }: NewRecord,
  code: 'non-finite-loss' | 'record-empty' | 'record-not-json' | 'record-not-utf8' = 'record-not-utf8',
): Promise<void> {
  const letter = { code, message: 'Buried for its value.', key: toBytes(key), value: toBytes(value) };
  if (at) await logDeadLetters(log, 'deadletters').put({ at, ...letter });
}

async function lettersOf(log: TopicLog, filter: LetterFilter): Promise<Letter[]> {
  const letters: Letter[] = [];
  for await (const letter of findLetters(log, filter, signal)) letters.push(letter);
  return letters;
}

async function replay(log: TopicLog, filter: LetterFilter, more: Partial<ReplayOptions> = {}): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const onLetter: ReplayOptions['onLetter'] = async (_letter, outcome) => void outcomes.push(outcome);
  await replayLetters(log, { filter, again: false, dryRun: false, signal, onLetter, ...more });
  return outcomes;
}

function toBytes(value: NewRecord['value']): Uint8Array | null {
  return value === null ? null : Buffer.from(value);
}
