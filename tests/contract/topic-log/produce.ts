import { beforeEach, describe, expect, it } from 'vitest';
import type { TopicLog } from '../../../operators/ports.ts';
import type { NewRecord } from '../../../operators/types.ts';
import { bytes, drain, numbered, values } from './records.ts';
import type { LogCapabilities, LogUnderTest, OpenedLog } from './suite.ts';

export function describeProduce(suite: () => LogUnderTest, capabilities: LogCapabilities): void {
  describe('produce', () => {
    let log: TopicLog;
    let opened: OpenedLog;
    let topic: string;

    beforeEach(() => {
      ({ log, opened, topic } = suite());
    });

    it('gives offsets from 0, in order, per partition', async () => {
      await log.createTopic(topic, { partitions: 2 });
      const first = await log.produce(topic, [
        { value: 'a', partition: 0 },
        { value: 'b', partition: 1 },
        { value: 'c', partition: 0 },
      ]);
      expect(first).toEqual([
        { topic, partition: 0, offset: 0 },
        { topic, partition: 1, offset: 0 },
        { topic, partition: 0, offset: 1 },
      ]);
      const [later] = await log.produce(topic, [{ value: 'd', partition: 0 }]);
      expect(later).toMatchObject({ topic, partition: 0 });
      expect(later?.offset).toBeGreaterThan(1);
      const offsets = await log.offsets(topic);
      expect(offsets.map(({ start }) => start)).toEqual([0, 0]);
      expect(offsets[0]?.end).toBe((later?.offset ?? 0) + 1);
      expect(await values(log, topic, 0)).toEqual(['a', 'c', 'd']);
    });

    it('leaves gaps between offsets only where it may', async () => {
      await log.createTopic(topic, { partitions: 2 });
      await log.produce(topic, [...numbered(2, 0), ...numbered(1, 1)]);
      const [next] = await log.produce(topic, numbered(1, 0));
      expect(next?.offset === 2).toBe(capabilities.denseOffsets);
    });

    it('does nothing with no records', async () => {
      await log.createTopic(topic);
      expect(await log.produce(topic, [])).toEqual([]);
      expect(await log.offsets(topic)).toEqual([{ topic, partition: 0, start: 0, end: 0 }]);
    });

    it('keeps keys, values, headers and timestamps to the byte', async () => {
      await log.createTopic(topic);
      const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const headers = { trace: '1', ключ: 'значение', __proto__x: '', constructor: 'c' };
      await log.produce(topic, [
        { key: everyByte, value: everyByte, headers, timestampMs: 1_700_000_000_123 },
        { key: 'k', value: null, timestampMs: 0 },
        { key: null, value: '' },
        { value: 'naïve ☃' },
      ]);
      const [full, tombstone, empty, text] = await drain(log, topic, 0);
      expect(full).toMatchObject({ topic, partition: 0, offset: 0, timestampMs: 1_700_000_000_123 });
      expect(bytes(full?.key)).toEqual([...everyByte]);
      expect(bytes(full?.value)).toEqual([...everyByte]);
      expect(full?.headers).toEqual(headers);
      expect(tombstone).toMatchObject({ value: null, timestampMs: 0, headers: {} });
      expect(bytes(tombstone?.key)).toEqual([...Buffer.from('k')]);
      expect(empty).toMatchObject({ key: null });
      expect(bytes(empty?.value)).toEqual([]);
      expect(text?.value && Buffer.from(text.value).toString()).toBe('naïve ☃');
    });

    it('stamps records that have no time of their own', async () => {
      await log.createTopic(topic);
      const beforeMs = Date.now();
      await log.produce(topic, [{ value: 'x' }]);
      const [record] = await drain(log, topic, 0);
      expect(record?.timestampMs).toBeGreaterThanOrEqual(beforeMs);
      expect(record?.timestampMs).toBeLessThanOrEqual(Date.now());
    });

    it('sends equal keys to one partition, and spreads records without a key', async () => {
      await log.createTopic(topic, { partitions: 5 });
      const keyed = await log.produce(
        topic,
        Array.from({ length: 9 }, () => ({ key: 'foobar', value: 'x' })),
      );
      // As Kafka's default partitioner does: murmur2('foobar') is -790332482, without its sign bit 1 modulo 5.
      expect(new Set(keyed.map((at) => at.partition))).toEqual(new Set([1]));
      const loose = await log.produce(
        topic,
        Array.from({ length: 30 }, () => ({ value: 'x' })),
      );
      expect(new Set(loose.map((at) => at.partition)).size).toBeGreaterThan(1);
    });

    it('appends all records or none', async () => {
      await log.createTopic(topic, { partitions: 2 });
      const batch: NewRecord[] = [{ value: 'good' }, { value: 'bad', partition: 9 }];
      await expect(log.produce(topic, batch)).rejects.toMatchObject({ code: 'topic-missing' });
      expect((await log.offsets(topic)).map(({ end }) => end)).toEqual([0, 0]);
    });

    it('loses nothing when two produce at once', async () => {
      await log.createTopic(topic, { partitions: 2 });
      const other = await opened.another();
      const produced = await Promise.all(
        Array.from({ length: 60 }, (_, batch) => {
          const records = Array.from({ length: 5 }, (_, at) => ({ value: `${batch}:${at}`, partition: batch % 2 }));
          return (batch % 3 === 0 ? other : log).produce(topic, records);
        }),
      );
      for (const coordinates of produced) {
        const [first] = coordinates;
        expect(coordinates.map(({ offset }) => offset - (first?.offset ?? 0))).toEqual([0, 1, 2, 3, 4]);
      }
      const found = [...(await values(log, topic, 0)), ...(await values(log, topic, 1))];
      expect(found).toHaveLength(300);
      expect(new Set(found).size).toBe(300);
    });
  });
}
