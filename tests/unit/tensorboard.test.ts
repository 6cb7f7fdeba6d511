import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crc32c } from '../../infra/tensorboard/crc32c.ts';
import { createEventFile } from '../../infra/index.ts';
import { scalarsOf } from '../../pipelines/topics/scalars.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-tensorboard-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the checksum is Castagnoli’s', () => {
  // The check value of the catalogue of CRCs, and those of RFC 3720.
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe306_9283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a91_36aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8_ab43);
});

test('a file has a record for its version and one for each event', async () => {
  const run = join(folder, 'run');
  const file = await createEventFile(run, 'metrics', 1_700_000_000_000);
  await file.append([{ atMs: 1500, step: 300, scalars: [{ tag: 'a', value: 1 }] }]);
  await file.close();
  const [name = ''] = readdirSync(run);
  expect(name).toMatch(/^events\.out\.tfevents\.1700000000\..*\.metrics$/);
  const bytes = readFileSync(join(run, name));
  const first = Number(bytes.readBigUInt64LE());
  expect(bytes.subarray(12 + first - 13, 12 + first).toString()).toBe('brain.Event:2');
  const second = bytes.subarray(12 + first + 4);
  // Wall time 1.5, step 300, and a summary of one value: tag a, 1.0.
  const event = ['09000000000000f83f', '10ac02', '2a0a', '0a08', '0a0161', '150000803f'].join('');
  expect(second.readBigUInt64LE()).toBe(BigInt(event.length / 2));
  expect(second.subarray(12, -4).toString('hex')).toBe(event);
});

const at = { topic: 'metrics', partition: 0, offset: 7, timestampMs: 5, key: null, headers: {} };

test.each([
  [
    { step: 3, loss: 0.5, event: 'step', spans: [{ from: 1 }], totals: { bytes: 2 } },
    3,
    { loss: 0.5, 'totals/bytes': 2 },
  ],
  [{ snapshot: { id: 'x', step: 9 }, passRate: 0.25, timestampMs: 1 }, 9, { passRate: 0.25 }],
  [{ lag: 1, loss: null }, 7, { lag: 1 }],
])('numbers of %j belong to step %d', (json, step, numbers) => {
  const scalars = Object.entries(numbers).map(([tag, value]) => ({ tag: `metrics/${tag}`, value }));
  expect(scalarsOf({ ...at, value: Buffer.from(JSON.stringify(json)) })).toEqual({ atMs: 5, step, scalars });
});

test.each(['text', '[1, 2]', '{"step": 1}', '{'])('there are none in %s', (text) => {
  expect(scalarsOf({ ...at, value: Buffer.from(text) })).toBeNull();
  expect(scalarsOf({ ...at, value: null })).toBeNull();
});
