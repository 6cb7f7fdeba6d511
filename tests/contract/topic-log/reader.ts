import { beforeEach, describe, expect, it } from 'vitest';
import type { TopicLog } from '../../../operators/ports.ts';
import type { LogRecord } from '../../../operators/types.ts';
import { WAIT_MS, numbered, pollText, textOf } from './records.ts';
import type { LogUnderTest, OpenedLog } from './suite.ts';

export function describeReader(suite: () => LogUnderTest): void {
  describe('a reader', () => {
    let log: TopicLog;
    let opened: OpenedLog;
    let topic: string;

    beforeEach(() => {
      ({ log, opened, topic } = suite());
    });

    it('starts at the given positions and says where it is', async () => {
      await log.createTopic(topic, { partitions: 2 });
      await log.produce(topic, numbered(5, 0));
      const reader = log.reader([{ topic, partition: 0, offset: 3 }]);
      expect(reader.positions()).toEqual([{ topic, partition: 0, offset: 3 }]);
      expect(await pollText(reader)).toEqual(['3', '4']);
      expect(reader.positions()).toEqual([{ topic, partition: 0, offset: 5 }]);
      await reader.close();
    });

    it('takes partitions in turn, one per poll', async () => {
      await log.createTopic(topic, { partitions: 3 });
      for (const partition of [0, 1, 2]) await log.produce(topic, numbered(4, partition));
      const reader = log.reader([0, 1, 2].map((partition) => ({ topic, partition, offset: 0 })));
      const turns: number[] = [];
      for (let poll = 0; poll < 6; poll += 1) {
        const records = await reader.poll({ maxRecords: 2, waitMs: WAIT_MS });
        expect(new Set(records.map(({ partition }) => partition)).size).toBe(1);
        turns.push(records[0]?.partition ?? -1);
      }
      expect(new Set(turns.slice(0, 3))).toEqual(new Set([0, 1, 2]));
      expect(new Set(turns.slice(3))).toEqual(new Set([0, 1, 2]));
      await reader.close();
    });

    it('reads from one partition when it is named', async () => {
      await log.createTopic(topic, { partitions: 2 });
      for (const partition of [0, 1]) await log.produce(topic, numbered(3, partition));
      const reader = log.reader([0, 1].map((partition) => ({ topic, partition, offset: 0 })));
      const records = await reader.poll({ partition: { topic, partition: 1 }, waitMs: WAIT_MS });
      expect(records.map(({ partition, offset }) => [partition, offset])).toEqual([
        [1, 0],
        [1, 1],
        [1, 2],
      ]);
      expect(await reader.poll({ partition: { topic, partition: 1 } })).toEqual([]);
      await expect(reader.poll({ partition: { topic, partition: 7 } })).rejects.toMatchObject({ code: 'bad-usage' });
      await reader.close();
    });

    it('keeps to maxRecords and maxBytes, but gives at least one', async () => {
      await log.createTopic(topic);
      await log.produce(
        topic,
        Array.from({ length: 5 }, () => ({ value: Buffer.alloc(10_000) })),
      );
      const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
      const taken: number[][] = [];
      for (const limits of [{ maxBytes: 25_000 }, { maxBytes: 1 }, { maxRecords: 1 }, { maxBytes: 25_000 }]) {
        const records = await reader.poll({ ...limits, waitMs: WAIT_MS });
        taken.push(records.map(({ offset }) => offset));
      }
      expect(taken).toEqual([[0, 1], [2], [3], [4]]);
      await reader.close();
    });

    it('finds without waiting what is there, also of a partition that was not asked for before', async () => {
      await log.createTopic(topic, { partitions: 3 });
      await log.produce(topic, [...numbered(4, 0), ...numbered(4, 1), ...numbered(4, 2)]);
      const reader = log.reader([0, 1, 2].map((partition) => ({ topic, partition, offset: partition })));
      for (const partition of [2, 0, 1]) {
        const records = await reader.poll({ partition: { topic, partition }, waitMs: 0 });
        expect(records.map(({ offset }) => offset)).toEqual([0, 1, 2, 3].slice(partition));
      }
      await reader.close();
    });

    it('comes to the end, whatever lies between the last record and there', async () => {
      await log.createTopic(topic, { partitions: 2 });
      await log.produce(topic, [...numbered(2, 0), ...numbered(1, 1)]);
      const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
      const read: LogRecord[] = [];
      for (let poll = 0; poll < 4; poll += 1) read.push(...(await reader.poll({ maxRecords: 1 })));
      expect(read.map(textOf)).toEqual(['0', '1']);
      const [partition] = await log.offsets(topic);
      expect(reader.positions()).toEqual([{ topic, partition: 0, offset: partition?.end }]);
      await reader.close();
    });

    it('gives none when there is nothing, at once or after waitMs', async () => {
      await log.createTopic(topic);
      const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
      expect(await reader.poll()).toEqual([]);
      const startMs = performance.now();
      expect(await reader.poll({ waitMs: 120 })).toEqual([]);
      expect(performance.now() - startMs).toBeGreaterThanOrEqual(115);
      await reader.close();
    });

    it('is woken by a produce, through its own handle or another', async () => {
      await log.createTopic(topic);
      const other = await opened.another();
      const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
      for (const producer of [log, other]) {
        const polled = pollText(reader);
        await new Promise((resolve) => setTimeout(resolve, 60));
        await producer.produce(topic, [{ value: 'news' }]);
        expect(await polled).toEqual(['news']);
      }
      await reader.close();
    });

    it('gives up at once when aborted', async () => {
      await log.createTopic(topic);
      const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
      const startMs = performance.now();
      const polled = reader.poll({ waitMs: WAIT_MS, signal: AbortSignal.timeout(30) });
      await expect(reader.poll()).rejects.toMatchObject({ code: 'bad-usage' });
      expect(await polled).toEqual([]);
      expect(await reader.poll({ waitMs: WAIT_MS, signal: AbortSignal.abort() })).toEqual([]);
      expect(performance.now() - startMs).toBeLessThan(WAIT_MS / 2);
      await log.produce(topic, [{ value: 'still there' }]);
      expect(await pollText(reader)).toEqual(['still there']);
      await reader.close();
    });

    it('rejects an offset beyond the end', async () => {
      await log.createTopic(topic);
      const reader = log.reader([{ topic, partition: 0, offset: 1 }]);
      await expect(reader.poll({ waitMs: WAIT_MS })).rejects.toMatchObject({ code: 'offset-out-of-range' });
      await reader.close();
    });

    it('ends its waiting poll when it is closed, and refuses another', async () => {
      await log.createTopic(topic);
      const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
      const polled = reader.poll({ waitMs: WAIT_MS });
      await reader.close();
      expect(await polled).toEqual([]);
      await expect(reader.poll()).rejects.toMatchObject({ code: 'log-closed' });
    });
  });
}
