import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedLog } from '../../infra/embedded-log/index.ts';
import type { TopicLog } from '../../operators/ports.ts';
import { describeTopicLog } from './topic-log.ts';

const PRODUCER = fileURLToPath(new URL('processes/produce.ts', import.meta.url));
const BATCH = 7;

describeTopicLog(
  'the embedded log',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-log-'));
    const handles: TopicLog[] = [];
    const another = async (): Promise<TopicLog> => {
      const log = await openEmbeddedLog(directory);
      handles.push(log);
      return log;
    };
    const closeAll = async (): Promise<void> => {
      for (const handle of handles.splice(0)) await handle.close();
    };
    return {
      log: await another(),
      address: ['embedded', directory],
      another,
      reopen: async () => {
        await closeAll();
        return another();
      },
      close: async () => {
        await closeAll();
        await rm(directory, { recursive: true });
      },
    };
  },
  { exactRetention: true, denseOffsets: true, manyProcesses: true },
);

describe('the embedded log', () => {
  let directory: string;
  let log: TopicLog;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'millrace-log-'));
    log = await openEmbeddedLog(directory);
    await log.createTopic('text');
  });
  afterEach(async () => {
    await log.close();
    await rm(directory, { recursive: true });
  });

  it('refuses records beyond maxRecordBytes, with all that came with them', async () => {
    const small = await openEmbeddedLog(directory, { maxRecordBytes: 100 });
    const batch = [{ value: 'fits' }, { key: 'k', value: 'x'.repeat(100) }];
    await expect(small.produce('text', batch)).rejects.toMatchObject({ code: 'record-too-large' });
    expect(await small.produce('text', [{ key: 'k', value: 'x'.repeat(99) }])).toHaveLength(1);
    expect(await log.offsets('text')).toMatchObject([{ end: 1 }]);
    await small.close();
  });

  it('expires records by age when they are read, too', async () => {
    let nowMs = 1_000_000;
    const aged = await openEmbeddedLog(directory, { clock: { nowMs: () => nowMs } });
    await aged.createTopic('short-lived', { retentionMs: 10_000 });
    await aged.produce('short-lived', [{ value: 'a' }, { value: 'b' }]);
    nowMs += 20_000;
    const reader = aged.reader([{ topic: 'short-lived', partition: 0, offset: 0 }]);
    await expect(reader.poll()).rejects.toMatchObject({ code: 'offset-out-of-range' });
    expect(await aged.offsets('short-lived')).toMatchObject([{ start: 2, end: 2 }]);
    await aged.close();
  });

  it('acknowledges after the flush when it shall survive a loss of power', async () => {
    const flushed = await openEmbeddedLog(directory, { durability: 'power' });
    expect(await flushed.produce('text', [{ value: 'x' }])).toHaveLength(1);
    await flushed.close();
  });

  it('keeps large records and many of them apart', async () => {
    const sizes = [1, 5_000_000, 0, 3000, 70_000, 16];
    await log.produce(
      'text',
      sizes.map((size, at) => ({ value: Buffer.alloc(size, at + 1) })),
    );
    const reader = log.reader([{ topic: 'text', partition: 0, offset: 0 }]);
    const read = [...(await reader.poll({ maxBytes: 1e9 }))];
    expect(read.map(({ value }) => value?.byteLength)).toEqual(sizes);
    for (const [at, { value }] of read.entries()) expect(value?.every((byte) => byte === at + 1)).toBe(true);
  });

  it('hands out bytes of its own, which later reads leave alone', async () => {
    await log.produce(
      'text',
      Array.from({ length: 200 }, (_, at) => ({ value: `record ${at}` })),
    );
    const reader = log.reader([{ topic: 'text', partition: 0, offset: 0 }]);
    const first = await reader.poll({ maxRecords: 100 });
    await reader.poll({ maxRecords: 100 });
    expect(first.map(({ value }) => String(value))).toEqual(Array.from({ length: 100 }, (_, at) => `record ${at}`));
  });

  it('is shared with processes that produce at the same time', async () => {
    const reader = log.reader([{ topic: 'text', partition: 0, offset: 0 }]);
    const children = ['one', 'two'].map((name) => startProducer(directory, name, 40));
    const ended = children.map((child) => once(child, 'exit'));
    await Promise.all(Array.from({ length: 40 }, (_, at) => log.produce('text', batchOf('self', at))));
    const seen: string[] = [];
    while (seen.length < 3 * 40 * BATCH) {
      const records = await reader.poll({ waitMs: 20_000 });
      expect(records).not.toHaveLength(0);
      seen.push(...records.map(({ value }) => String(value)));
    }
    await Promise.all(ended);
    for (const name of ['one', 'two', 'self']) {
      const own = seen.filter((value) => value.startsWith(name)).toSorted();
      expect(own).toEqual(
        Array.from({ length: 40 }, (_, at) => batchOf(name, at).map(({ value }) => value))
          .flat()
          .toSorted(),
      );
    }
    expectWholeBatches(seen);
  });

  it('keeps whole batches, and all that was acknowledged, when a producer is killed', async () => {
    for (const [round, killAfter] of [3, 17, 60].entries()) {
      const name = `killed${round}`;
      const child = startProducer(directory, name, Infinity);
      let acknowledged = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged = Number(line) + 1;
        if (acknowledged === killAfter) child.kill('SIGKILL');
      }
      const again = await openEmbeddedLog(directory);
      const all = await readAll(again);
      const own = all.filter((value) => value.startsWith(name));
      expect(own.length).toBeGreaterThanOrEqual(acknowledged * BATCH);
      expectWholeBatches(own);
      expect(await again.produce('text', [{ value: 'after' }])).toHaveLength(1);
      await again.close();
    }
  });
});

function startProducer(
  directory: string,
  name: string,
  batches: number,
): ChildProcess & { stdout: NodeJS.ReadableStream } {
  const args = ['--import', 'tsx', PRODUCER, directory, name, String(batches), String(BATCH)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

function batchOf(name: string, at: number): { value: string }[] {
  return Array.from({ length: BATCH }, (_, part) => ({ value: `${name}:${at}:${part}` }));
}

/** Records of one batch stand together, in order, and none is missing. */
function expectWholeBatches(values: readonly string[]): void {
  expect(values.length % BATCH).toBe(0);
  for (let at = 0; at < values.length; at += BATCH) {
    const [name = '', batch] = values[at]?.split(':') ?? [];
    expect(values.slice(at, at + BATCH)).toEqual(batchOf(name, Number(batch)).map(({ value }) => value));
  }
}

async function readAll(log: TopicLog): Promise<string[]> {
  const reader = log.reader([{ topic: 'text', partition: 0, offset: 0 }]);
  const values: string[] = [];
  for (let records = await reader.poll(); records.length > 0; records = await reader.poll()) {
    values.push(...records.map(({ value }) => String(value)));
  }
  await reader.close();
  return values;
}
