import { beforeEach, describe, expect, it } from 'vitest';
import type { TopicLog } from '../../../operators/ports.ts';
import { drain } from './records.ts';
import type { LogUnderTest } from './suite.ts';

export function describeRetention(suite: () => LogUnderTest): void {
  describe('retention', () => {
    let log: TopicLog;
    let topic: string;

    beforeEach(() => {
      ({ log, topic } = suite());
    });

    it('drops the oldest records beyond retentionBytes, and tells a reader that was overtaken', async () => {
      await log.createTopic(topic, { retentionBytes: 50_000 });
      const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
      for (let at = 0; at < 10; at += 1) await log.produce(topic, [{ value: Buffer.alloc(10_000, at) }]);
      expect(await log.offsets(topic)).toEqual([{ topic, partition: 0, start: 6, end: 10 }]);
      await expect(reader.poll()).rejects.toMatchObject({
        code: 'offset-out-of-range',
        message: expect.stringContaining(`Offsets 0 to 5 of ${topic}/0`),
      });
      expect((await drain(log, topic, 0, 6)).map(({ offset }) => offset)).toEqual([6, 7, 8, 9]);
      await reader.close();
    });

    it('keeps the newest record, however large', async () => {
      await log.createTopic(topic, { retentionBytes: 1000 });
      await log.produce(topic, [{ value: 'small' }, { value: Buffer.alloc(5000) }]);
      expect(await log.offsets(topic)).toEqual([{ topic, partition: 0, start: 1, end: 2 }]);
    });

    it('drops records older than retentionMs', async () => {
      await log.createTopic(topic, { retentionMs: 60_000 });
      const oldMs = Date.now() - 120_000;
      await log.produce(topic, [{ value: 'old', timestampMs: oldMs }, { value: 'new' }]);
      expect(await log.offsets(topic)).toEqual([{ topic, partition: 0, start: 1, end: 2 }]);
    });
  });
}
