import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeDeadLetters } from './topic-log/dead-letters.ts';
import { describeGroups } from './topic-log/groups.ts';
import { describeProduce } from './topic-log/produce.ts';
import { describeReader } from './topic-log/reader.ts';
import { numbered, values } from './topic-log/records.ts';
import { describeRetention } from './topic-log/retention.ts';
import type { LogCapabilities, LogUnderTest, OpenedLog } from './topic-log/suite.ts';
import { describeTopics } from './topic-log/topics.ts';
import { describeTransactions } from './topic-log/transactions.ts';

/** What every `TopicLog` guarantees. Topics have fresh names, so that a log may outlive the test. */
export function describeTopicLog(name: string, open: () => Promise<OpenedLog>, capabilities: LogCapabilities): void {
  describe(`${name} as a TopicLog`, () => {
    let suite: LogUnderTest;
    const current = (): LogUnderTest => suite;

    beforeEach(async () => {
      const opened = await open();
      suite = { opened, log: opened.log, topic: `contract-${randomUUID()}` };
    });
    afterEach(() => suite.opened.close());

    describeTopics(current);
    describeProduce(current, capabilities);
    describeReader(current);
    describeGroups(current);
    describeTransactions(current, capabilities);
    describeDeadLetters(current);
    describeRetention(current, capabilities);

    it('keeps everything over a reopening', async () => {
      const { log, topic, opened } = suite;
      await log.createTopic(topic, { partitions: 2 });
      const group = `g-${randomUUID()}`;
      await log.produce(topic, numbered(3, 1));
      await log.commit(group, [{ topic, partition: 1, offset: 2 }]);
      const again = await opened.reopen();
      await expect(log.produce(topic, [{ value: 'x' }])).rejects.toMatchObject({ code: 'log-closed' });
      expect(await again.topics()).toContainEqual({ name: topic, partitions: 2 });
      expect(await values(again, topic, 1)).toEqual(['0', '1', '2']);
      expect(await again.committed(group, topic)).toEqual([{ topic, partition: 1, offset: 2 }]);
      expect(await again.produce(topic, [{ value: '3', partition: 1 }])).toEqual([{ topic, partition: 1, offset: 3 }]);
    });
  });
}
