import { firstValueFrom, take, toArray } from 'rxjs';
import { beforeEach, describe, expect, it } from 'vitest';
import { logDeadLetters, logLedger } from '../../../infra/index.ts';
import { ingest } from '../../../operators/index.ts';
import type { TopicLog } from '../../../operators/ports.ts';
import { readTopic } from '../../support/read-topic.ts';
import { wordOf } from '../../support/ingest-bench.ts';
import { drain } from './records.ts';
import type { LogCapabilities, LogUnderTest } from './suite.ts';

export function describeRetention(suite: () => LogUnderTest, { exactRetention }: LogCapabilities): void {
  describe('retention', () => {
    let log: TopicLog;
    let topic: string;

    beforeEach(() => {
      ({ log, topic } = suite());
    });

    /** Ten records, of which the last four are kept. */
    async function overtake(): Promise<void> {
      await log.createTopic(topic, { retentionBytes: 50_000 });
      for (let at = 0; at < 10; at += 1) await log.produce(topic, [{ value: String(at).padEnd(10_000, '.') }]);
      await suite().opened.forget?.({ topic, partition: 0, offset: 6 });
    }

    it('drops the oldest records beyond retentionBytes, and tells a reader that was overtaken', async () => {
      await log.createTopic(topic, { retentionBytes: 50_000 });
      const reader = log.reader([{ topic, partition: 0, offset: 0 }]);
      await overtake();
      expect(await log.offsets(topic)).toEqual([{ topic, partition: 0, start: 6, end: 10 }]);
      await expect(reader.poll()).rejects.toMatchObject({
        code: 'offset-out-of-range',
        message: expect.stringContaining(`Offsets 0 to 5 of ${topic}/0`),
      });
      expect((await drain(log, topic, 0, 6)).map(({ offset }) => offset)).toEqual([6, 7, 8, 9]);
      await reader.close();
    });

    it('does not stop ingest when it is to go on behind what is lost, of which the range is kept', async () => {
      await overtake();
      const ledger = logLedger(log, `${topic}-ledger`);
      const options = { ledger, deadLetters: logDeadLetters(log, `${topic}-letters`), onDataLoss: 'earliest' } as const;
      const state = { positions: [{ topic, partition: 0, offset: 2 }], ledger: 0, played: 0, lastRun: null };
      const restore = { states: new Map([['ingest', { state }]]) };
      const flow = log.topic(topic).pipe(ingest({ ...options, restore }), take(5), toArray());
      const words = (await firstValueFrom(flow)).map((element) => wordOf(element).replaceAll('.', ''));
      expect(words).toEqual(['restore', '6', '7', '8', '9']);
      expect((await ledger.read(0))[0]).toEqual({ kind: 'lost', topic, partition: 0, from: 2, to: 6 });
      const [letter] = await readTopic(log, `${topic}-letters`);
      expect(letter?.headers).toMatchObject({ topic, offset: '2', code: 'offset-out-of-range' });
    });

    if (!exactRetention) return;

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
