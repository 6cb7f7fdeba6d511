import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { TopicLog } from '../../../operators/ports.ts';
import { numbered } from './records.ts';
import type { LogUnderTest } from './suite.ts';

export function describeGroups(suite: () => LogUnderTest): void {
  describe('groups', () => {
    let log: TopicLog;
    let topic: string;

    beforeEach(() => {
      ({ log, topic } = suite());
    });

    it('remember positions, each group its own', async () => {
      await log.createTopic(topic, { partitions: 3 });
      await log.produce(topic, [...numbered(9, 0), ...numbered(9, 2)]);
      const [group, stranger] = [`g-${randomUUID()}`, `g-${randomUUID()}`];
      expect(await log.committed(group, topic)).toEqual([]);
      await log.commit(group, [{ topic, partition: 0, offset: 4 }]);
      await log.commit(group, [
        { topic, partition: 0, offset: 6 },
        { topic, partition: 2, offset: 1 },
      ]);
      expect(await log.committed(group, topic)).toEqual([
        { topic, partition: 0, offset: 6 },
        { topic, partition: 2, offset: 1 },
      ]);
      expect(await log.committed(stranger, topic)).toEqual([]);
    });
  });
}
