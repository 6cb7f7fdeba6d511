import { randomUUID } from 'node:crypto';
import { firstValueFrom } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogReader, TopicLog } from '../../operators/ports.ts';
import type { LogRecord, NewRecord } from '../../operators/types.ts';

/** A log under test. */
export interface OpenedLog {
  readonly log: TopicLog;
  /** Another handle on the same log, as another process would have. */
  another(): Promise<TopicLog>;
  /** Closes every handle and opens the log again. */
  reopen(): Promise<TopicLog>;
  /** Closes every handle and removes what was stored. */
  close(): Promise<void>;
}

export interface LogCapabilities {
  /** Whether `retentionBytes` is kept to on every produce. */
  readonly exactRetention: boolean;
  /** Whether offsets are without gaps; where transactions leave marks between records they are not. */
  readonly denseOffsets: boolean;
}

const WAIT_MS = 10_000;

/** What every `TopicLog` guarantees. Topics have fresh names, so that a log may outlive the test. */
export function describeTopicLog(name: string, open: () => Promise<OpenedLog>, capabilities: LogCapabilities): void {
  describe(`${name} as a TopicLog`, () => {
    let opened: OpenedLog;
    let log: TopicLog;
    let topic: string;

    beforeEach(async () => {
      opened = await open();
      log = opened.log;
      topic = `contract-${randomUUID()}`;
    });
    afterEach(() => opened.close());

    describe('topics', () => {
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

    describe('produce', () => {
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

    describe('a reader', () => {
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

    describe('groups', () => {
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

    it('keeps everything over a reopening', async () => {
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

    if (!capabilities.exactRetention) return;
    describe('retention', () => {
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
  });
}

function numbered(count: number, partition: number): NewRecord[] {
  return Array.from({ length: count }, (_, at) => ({ value: String(at), partition }));
}

/** All records of a partition from an offset on. */
async function drain(log: TopicLog, topic: string, partition: number, from = 0): Promise<LogRecord[]> {
  const end = (await log.offsets(topic))[partition]?.end ?? 0;
  const reader = log.reader([{ topic, partition, offset: from }]);
  const records: LogRecord[] = [];
  while ((reader.positions()[0]?.offset ?? end) < end) records.push(...(await reader.poll({ waitMs: WAIT_MS })));
  await reader.close();
  return records;
}

async function values(log: TopicLog, topic: string, partition: number): Promise<string[]> {
  return (await drain(log, topic, partition)).map(textOf);
}

async function pollText(reader: LogReader): Promise<string[]> {
  return (await reader.poll({ waitMs: WAIT_MS })).map(textOf);
}

function textOf({ value }: LogRecord): string {
  return value ? Buffer.from(value).toString() : '';
}

function bytes(value: Uint8Array | null | undefined): number[] | null {
  return value ? [...value] : null;
}
