import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import type { TopicLog } from '../../../operators/ports.ts';
import { madeOf } from './made-of.ts';
import { numbered, values } from './records.ts';
import type { LogCapabilities, LogUnderTest, OpenedLog } from './suite.ts';

const PROCESS = fileURLToPath(new URL('../processes/transact.ts', import.meta.url));
const TOO_LARGE = Buffer.alloc(18 * 1024 * 1024);

/** Records of one topic become records of two others, with the position in the first, all at once. */
export function describeTransactions(suite: () => LogUnderTest, capabilities: LogCapabilities): void {
  describe('transactions', () => {
    let opened: OpenedLog;
    let log: TopicLog;
    let topic: string;
    let outputs: readonly [string, string];
    let group: string;
    let id: string;

    beforeEach(async () => {
      ({ opened, log, topic } = suite());
      outputs = [`${topic}-one`, `${topic}-two`];
      group = `g-${randomUUID()}`;
      id = `t-${randomUUID()}`;
      await log.createTopic(topic, { partitions: 2 });
      await log.produce(topic, [...numbered(9, 0), ...numbered(9, 1)]);
      for (const output of outputs) await log.createTopic(output, { partitions: 2 });
    });

    async function produced(from: TopicLog = log): Promise<string[][]> {
      const all = outputs.flatMap((output) => [0, 1].map((partition) => values(from, output, partition)));
      return Promise.all(all);
    }

    it('append to several topics and move the group, together', async () => {
      const transactions = await log.transactions(id, group);
      for (const offset of [0, 1]) await transactions.commit(madeOf(topic, offset, outputs));
      const expected = [
        ['0a', '1a'],
        ['0b', '1b'],
      ];
      expect(await produced(await opened.another())).toEqual([...expected, ...expected]);
      expect(await log.committed(group, topic)).toEqual([{ topic, partition: 0, offset: 2 }]);
      await transactions.close();
    });

    it('give the coordinates of their records, in order', async () => {
      const transactions = await log.transactions(id, group);
      const { records, ...rest } = madeOf(topic, 0, outputs);
      const coordinates = await transactions.commit({ ...rest, records: [...records, ...records] });
      expect(coordinates).toEqual([
        ...records.map((record) => ({ topic: record.topic, partition: record.partition, offset: 0 })),
        ...records.map((record) => ({ topic: record.topic, partition: record.partition, offset: 1 })),
      ]);
      await transactions.close();
    });

    it('may move the group alone', async () => {
      const transactions = await log.transactions(id, group);
      expect(await transactions.commit({ ...madeOf(topic, 3, outputs), records: [] })).toEqual([]);
      expect(await log.committed(group, topic)).toEqual([{ topic, partition: 0, offset: 4 }]);
      await transactions.close();
    });

    it('remember what is said with a position until it moves on', async () => {
      const transactions = await log.transactions(id, group);
      const position = { topic, partition: 1, offset: 3, metadata: '{"open":[3,"ü"]}' };
      await transactions.commit({
        ...madeOf(topic, 0, outputs),
        positions: [position, { topic, partition: 0, offset: 1 }],
      });
      expect(await log.committed(group, topic)).toEqual([{ topic, partition: 0, offset: 1 }, position]);
      await log.commit(group, [{ topic, partition: 1, offset: 4 }]);
      expect(await log.committed(group, topic)).toMatchObject([{ offset: 1 }, { topic, partition: 1, offset: 4 }]);
      expect((await log.committed(group, topic))[1]).not.toHaveProperty('metadata');
      await transactions.close();
    });

    it('are carried out one after the other', async () => {
      const transactions = await log.transactions(id, group);
      await Promise.all([0, 1, 2, 3].map((offset) => transactions.commit(madeOf(topic, offset, outputs))));
      expect((await produced())[0]).toEqual(['0a', '1a', '2a', '3a']);
      expect(await log.committed(group, topic)).toEqual([{ topic, partition: 0, offset: 4 }]);
      await transactions.close();
    });

    it('leave nothing of one that failed, and go on with the next', async () => {
      const transactions = await log.transactions(id, group);
      const [output] = outputs;
      const { records, ...rest } = madeOf(topic, 0, outputs);
      for (const [bad, code] of [
        [{ topic: output, value: TOO_LARGE }, 'record-too-large'],
        [{ topic: `${topic}-none`, value: 'x' }, 'topic-missing'],
        [{ topic: output, value: 'x', partition: 5 }, 'topic-missing'],
      ] as const) {
        await expect(transactions.commit({ ...rest, records: [...records, bad] })).rejects.toMatchObject({ code });
      }
      expect(await produced()).toEqual([[], [], [], []]);
      expect(await log.committed(group, topic)).toEqual([]);
      await transactions.commit(madeOf(topic, 1, outputs));
      expect(await produced(await opened.another())).toEqual([['1a'], ['1b'], ['1a'], ['1b']]);
      await transactions.close();
    });

    it('are fenced by who opens the same id later', async () => {
      const other = await opened.another();
      const old = await log.transactions(id, group);
      await old.commit(madeOf(topic, 0, outputs));
      const newer = await other.transactions(id, group);
      await expect(old.commit(madeOf(topic, 1, outputs))).rejects.toMatchObject({ code: 'producer-fenced' });
      expect(await other.committed(group, topic)).toEqual([{ topic, partition: 0, offset: 1 }]);
      await newer.commit(madeOf(topic, 2, outputs));
      await expect(old.commit(madeOf(topic, 3, outputs))).rejects.toMatchObject({ code: 'producer-fenced' });
      expect((await produced())[0]).toEqual(['0a', '2a']);
      expect(await log.committed(group, topic)).toEqual([{ topic, partition: 0, offset: 3 }]);
      await old.close();
      await newer.close();
    });

    it('of another id go on beside them', async () => {
      const [one, two] = [
        await log.transactions(id, group),
        await (await opened.another()).transactions(`${id}-two`, `${group}-two`),
      ];
      await Promise.all([0, 1, 2].map((offset) => one.commit(madeOf(topic, offset, outputs))));
      await two.commit(madeOf(topic, 0, outputs));
      await one.commit(madeOf(topic, 3, outputs));
      expect((await produced())[0]?.toSorted()).toEqual(['0a', '0a', '1a', '2a', '3a']);
      await one.close();
      await two.close();
    });

    it('are over with their log', async () => {
      const transactions = await log.transactions(id, group);
      await opened.reopen();
      await expect(transactions.commit(madeOf(topic, 0, outputs))).rejects.toMatchObject({ code: 'log-closed' });
      await expect(log.transactions(id, group)).rejects.toMatchObject({ code: 'log-closed' });
    });

    if (!capabilities.manyProcesses) return;
    it('are whole when their process is killed, and go on from there in the next', async () => {
      let stands = 0;
      for (const killAfter of [1, 3, 8]) {
        const args = ['--import', 'tsx', PROCESS, ...opened.address, id, group, topic, ...outputs];
        const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
        const lines: number[] = [];
        for await (const line of createInterface({ input: child.stdout })) {
          if (lines.push(Number(line)) === killAfter) child.kill('SIGKILL');
        }
        expect(lines[0]).toBe(stands);
        await (await log.transactions(id, group)).close();
        stands = (await log.committed(group, topic))[0]?.offset ?? 0;
        expect(stands).toBeGreaterThan(lines.at(-1) ?? Infinity);
        const made = (letter: string): string[] => Array.from({ length: stands }, (_, at) => `${at}${letter}`);
        expect(await produced()).toEqual([made('a'), made('b'), made('a'), made('b')]);
      }
    });
  });
}
