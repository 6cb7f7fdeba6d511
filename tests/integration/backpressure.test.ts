import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEmbeddedLog } from '../../infra/index.ts';
import { batch, decode, ingest, tokenize, trainStep } from '../../operators/index.ts';
import { byteTokenizer } from '../support/byte-tokenizer.ts';
import { slowTrainer } from '../support/slow-trainer.ts';
import { MemoryDeadLetters } from '../support/memory-stores.ts';

const GIGABYTE = 1024 ** 3;
const RECORD_BYTES = 64 * 1024;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-backpressure-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('1 GB produced at full speed into a slow trainer leaves the memory of the process flat', async () => {
  const log = await openEmbeddedLog(folder);
  await log.createTopic('text');
  const producer = fork(fileURLToPath(new URL('../support/produce-gigabyte.ts', import.meta.url)), [folder], {
    execArgv: ['--import', 'tsx'],
  });
  const produced = once(producer, 'exit');

  const trainer = slowTrainer(5);
  const subscription = log
    .topic('text')
    .pipe(
      ingest({ window: '1MB' }),
      decode({ deadLetters: new MemoryDeadLetters() }),
      tokenize(byteTokenizer),
      batch({ rows: 8, context: 256, endOfText: byteTokenizer.endOfText }),
      trainStep(trainer),
    )
    .subscribe();

  const samples: number[] = [];
  const sampling = setInterval(() => void ownMemory().then((bytes) => samples.push(bytes)), 100);
  const [code] = await produced;
  clearInterval(sampling);
  subscription.unsubscribe();
  const [text] = await log.offsets('text');
  await log.close();

  expect(code).toBe(0);
  expect((text?.end ?? 0) * RECORD_BYTES).toBe(GIGABYTE);
  expect(trainer.steps).toBeGreaterThan(10);
  expect(samples.length).toBeGreaterThan(10);
  const settled = samples.slice(Math.floor(samples.length / 4));
  const growth = Math.max(...settled) - (settled[0] ?? 0);
  expect(growth).toBeLessThan(128 * 1024 ** 2);
});

/** Memory that is the process's own: pages of the log that the kernel has mapped for it can be dropped at any time. */
async function ownMemory(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const anonymous = /RssAnon:\s+(\d+) kB/.exec(status)?.[1];
  return anonymous === undefined ? process.memoryUsage().heapUsed : Number(anonymous) * 1024;
}
