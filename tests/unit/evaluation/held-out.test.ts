import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { plainFormat } from '../../../operators/formats.ts';
import { isHeldOut } from '../../../operators/holdout.ts';
import { heldOutOf } from '../../../pipelines/evaluation/held-out.ts';
import type { HeldOut } from '../../../pipelines/evaluation/held-out.ts';
import { graphOf } from '../../support/graphs.ts';
import { jobGraph } from '../../support/job-graph.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const formats = { of: () => plainFormat };
const never = new AbortController().signal;

/** Of a job that trains on `text`. */
function heldOutBy(heldOut: string, log: MemoryLog, share?: number): HeldOut {
  const text = jobGraph({ name: 'examined', partitions: 2, also: `promote: { heldOut: ${heldOut} }` });
  const holdout = `    - { uid: holdout, holdout: { share: ${share} } }\n    - { uid: decode`;
  const graph = graphOf(
    (share === undefined ? text : text.replace('    - { uid: decode', holdout)).replace(
      'metrics: {}',
      'metrics: {}, apart: {}',
    ),
  );
  return heldOutOf(graph.promote?.heldOut, { where: 'promote.heldOut', graph, log, formats });
}

test('the share of a trained topic that is never trained on, as it grows, the newest that have room', async () => {
  const log = new MemoryLog();
  await log.createTopic('text', { partitions: 2 });
  const heldOut = heldOutBy('{ topic: text, bytes: 200B }', log, 0.5);
  expect(await heldOut(never)).toEqual([]);
  const records = Array.from({ length: 40 }, (_, at) => ({
    key: `k${at}`,
    value: `text ${at} of many`,
    partition: at % 2,
  }));
  await log.produce('text', records);
  const ours = records
    .filter(({ key }) => isHeldOut({ ...NOWHERE, key: Buffer.from(key) }, 0.5))
    .map(({ value }) => value);
  const first = (await heldOut(never)).map(({ text }) => text);
  expect(ours).toEqual(expect.arrayContaining(first));
  const size = Buffer.byteLength(first.join(''));
  expect(size).toBeGreaterThan(200 - 20);
  expect(size).toBeLessThanOrEqual(200);
  expect(await heldOut(never)).toHaveLength(first.length);
  const late = Array.from({ length: 99 }, (_, at) => `late${at}`).find((key) =>
    isHeldOut({ ...NOWHERE, key: Buffer.from(key) }, 0.5),
  );
  await log.produce('text', [{ key: late ?? '', value: 'the newest' }]);
  expect((await heldOut(never)).at(-1)?.text).toBe('the newest');
});

test('all of a topic that nothing trains on, but what is no text; a long one is cut', async () => {
  const log = new MemoryLog();
  await log.createTopic('apart');
  await log.produce('apart', [
    { value: Uint8Array.of(0xc3) },
    { value: null },
    { value: ' ' },
    { value: 'é'.repeat(50) },
  ]);
  const texts = await heldOutBy('{ topic: apart, bytes: 21B }', log)(never);
  expect(texts.map(({ text }) => text)).toEqual(['é'.repeat(10)]);
});

test('the beginning of a file; one without text is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-held-out-'));
  try {
    const path = join(folder, 'text.txt');
    await writeFile(path, 'naïve text');
    const log = new MemoryLog();
    const [text] = await heldOutBy(`{ file: ${path}, bytes: 3B }`, log)(never);
    expect(text?.text).toBe('na');
    await writeFile(path, ' \n');
    expect(() => heldOutBy(`{ file: ${path} }`, log)).toThrow('no text');
    expect(() => heldOutBy(`{ file: ${path}.not }`, log)).toThrow("can't be read");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

const NOWHERE = { topic: 'text', partition: 0, offset: 0, headers: {}, timestampMs: 0 };
