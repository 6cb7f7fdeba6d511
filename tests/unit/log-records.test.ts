import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { logDeadLetters, logLedger, openEmbeddedLog } from '../../infra/index.ts';
import type { DeadLetter, LedgerEntry, TopicLog } from '../../operators/ports.ts';

let directory: string;
let log: TopicLog;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-log-'));
  log = await openEmbeddedLog(directory);
});
afterEach(async () => {
  await log.close();
  await rm(directory, { recursive: true });
});

describe('the ledger', () => {
  const run: LedgerEntry = { kind: 'run', topic: 'text', partition: 2, from: 5, count: 7 };
  const tick: LedgerEntry = { kind: 'tick', atMs: 1_700_000_000_000 };

  it('gives back its entries from any position', async () => {
    const ledger = logLedger(log, 'ledger');
    expect(await ledger.end()).toBe(0);
    expect(await ledger.read(0)).toEqual([]);
    expect(await ledger.append(run)).toBe(1);
    expect(await ledger.append(tick)).toBe(2);
    expect(await ledger.read(0)).toEqual([run, tick]);
    expect(await ledger.read(1)).toEqual([tick]);
    expect(await ledger.read(2)).toEqual([]);
    expect(await logLedger(log, 'ledger').end()).toBe(2);
  });

  it('reads more entries than one poll gives', async () => {
    const ledger = logLedger(log, 'ledger');
    await ledger.append(run);
    const many = Array.from({ length: 5000 }, (_, atMs) => ({ value: JSON.stringify({ kind: 'tick', atMs }) }));
    await log.produce('ledger', many);
    expect((await ledger.read(1)).at(-1)).toEqual({ kind: 'tick', atMs: 4999 });
  });

  it('refuses a record that is no entry', async () => {
    const ledger = logLedger(log, 'ledger');
    await ledger.append(tick);
    for (const value of ['{"kind":"run"}', 'not JSON', null]) {
      const [at] = await log.produce('ledger', [{ value }]);
      await expect(ledger.read(at?.offset ?? 0)).rejects.toMatchObject({ code: 'state-invalid' });
    }
  });
});

describe('dead letters', () => {
  const letter: DeadLetter = {
    at: { topic: 'text', partition: 1, offset: 42 },
    code: 'record-not-utf8',
    message: 'Byte 3 is not UTF-8.',
    key: Uint8Array.of(1),
    value: Uint8Array.of(0xff, 0xfe),
  };

  it('keep the record, and say where it came from and why it is dead', async () => {
    await logDeadLetters(log, 'dead').put(letter);
    const [record] = await log.reader([{ topic: 'dead', partition: 0, offset: 0 }]).poll();
    expect([...(record?.value ?? [])]).toEqual([0xff, 0xfe]);
    expect([...(record?.key ?? [])]).toEqual([1]);
    expect(record?.headers).toMatchObject({ topic: 'text', partition: '1', offset: '42', code: 'record-not-utf8' });
    expect(record?.headers['message']).toBe('Byte 3 is not UTF-8.');
    expect(Date.parse(record?.headers['timestamp'] ?? '')).toBeGreaterThan(0);
  });

  it('hold a record of the greatest size', async () => {
    const value = Buffer.alloc(16 * 1024 * 1024);
    await logDeadLetters(log, 'dead').put({ ...letter, key: null, value });
    expect(await log.offsets('dead')).toMatchObject([{ end: 1 }]);
  });

  it('say so when they cannot be put, and are tried anew', async () => {
    await log.createTopic('dead', { partitions: 2 });
    const failed = { code: 'dead-letter-failed', cause: { code: 'topic-mismatch' } };
    const letters = logDeadLetters(log, 'dead');
    await expect(letters.put(letter)).rejects.toMatchObject(failed);
    await expect(letters.put(letter)).rejects.toMatchObject(failed);
  });
});
