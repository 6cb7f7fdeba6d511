import { firstValueFrom } from 'rxjs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { TopicLog } from '../../../operators/ports.ts';
import type { LogUnderTest, OpenedLog } from './suite.ts';

export function describeTopics(suite: () => LogUnderTest): void {
  describe('topics', () => {
    let log: TopicLog;
    let opened: OpenedLog;
    let topic: string;

    beforeEach(() => {
      ({ log, opened, topic } = suite());
    });

    it('are made once, and found again', async () => {
      await log.createTopic(topic, { partitions: 3 });
      await log.createTopic(topic, { partitions: 3 });
      await log.createTopic(topic);
      expect(await log.topics()).toContainEqual({ name: topic, partitions: 3 });
      expect(await firstValueFrom(log.topic(topic))).toEqual({ name: topic, partitions: 3, log });
    });

    it('have one partition unless more are asked for', async () => {
      await log.createTopic(topic);
      expect(await log.offsets(topic)).toEqual([{ topic, partition: 0, start: 0, end: 0 }]);
    });

    it('keep their number of partitions', async () => {
      await log.createTopic(topic, { partitions: 2 });
      await expect(log.createTopic(topic, { partitions: 3 })).rejects.toMatchObject({ code: 'topic-mismatch' });
    });

    it('keep the retention that they were made with', async () => {
      await log.createTopic(topic, { retentionBytes: 5_000_000 });
      await log.createTopic(topic, { retentionBytes: 7_000_000, retentionMs: 90_000 });
      expect(await log.retention(topic)).toEqual({ retentionBytes: 5_000_000 });
      await expect(log.retention(`${topic}-none`)).rejects.toMatchObject({ code: 'topic-missing' });
    });

    it('may be made by two at once', async () => {
      const other = await opened.another();
      await Promise.all([log, other, log, other].map((each) => each.createTopic(topic, { partitions: 4 })));
      expect(await other.offsets(topic)).toHaveLength(4);
    });

    it.each(['', '.', '..', 'a/b', 'ä', 'a'.repeat(250)])('may not be called "%s"', async (bad) => {
      await expect(log.createTopic(bad)).rejects.toMatchObject({ code: 'bad-usage' });
    });

    it('must exist', async () => {
      const missing = { code: 'topic-missing' };
      await expect(firstValueFrom(log.topic(topic))).rejects.toMatchObject(missing);
      await expect(log.produce(topic, [{ value: 'x' }])).rejects.toMatchObject(missing);
      await expect(log.offsets(topic)).rejects.toMatchObject(missing);
      await expect(log.committed('group', topic)).rejects.toMatchObject(missing);
      await expect(log.reader([{ topic, partition: 0, offset: 0 }]).poll()).rejects.toMatchObject(missing);
      await log.createTopic(topic);
      await expect(log.produce(topic, [{ value: 'x', partition: 1 }])).rejects.toMatchObject(missing);
    });
  });
}
