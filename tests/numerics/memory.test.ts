import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startTrainer } from '../../infra/index.ts';
import type { EngineSettings } from '../../model/settings.ts';
import { presets } from '../../model/presets.ts';
import type { Trainer } from '../../operators/index.ts';
import { randomBatch } from './tiny-model.ts';

const { model, optimizer, schedule } = presets.nano;
const shape = { rows: 2, context: 32, vocabSize: model.vocabSize };
const engine: EngineSettings = { mode: 'compiled', precision: 'bf16', xla: true, threads: 1 };
const EARLY = 50;
const LATE = 500;
/** Some 50 KB a step. Smaller leaks are for the tests that count tensors. */
const MOST_GROWTH = 0.05;
/** A busy machine takes a minute for the steps, and nothing is said here of how fast they are. */
const TIMEOUT_MS = 300_000;

test('a trainer has as much memory after 500 steps as after 50', { timeout: TIMEOUT_MS }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-memory-'));
  const logger = { info: () => undefined, warn: () => undefined };
  const settings = { model, optimizer, schedule, seed: 1, accumulate: 1, engine };
  const trainer = await startTrainer({ settings, stagingDir: join(folder, 'staging'), logger });
  try {
    await trainer.restore(null);
    await train(trainer, EARLY);
    const early = await ownMemory(trainer.pid);
    await train(trainer, LATE - EARLY);
    const late = await ownMemory(trainer.pid);
    expect(late / early).toBeLessThan(1 + MOST_GROWTH);
  } finally {
    await trainer.close();
    await rm(folder, { recursive: true, force: true });
  }
});

async function train(trainer: Trainer, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) await trainer.step(randomBatch(step, shape));
}

/** Bytes that a process has allocated and touched; with its files' where the system does not tell these apart. */
async function ownMemory(pid: number | undefined): Promise<number> {
  if (process.platform !== 'linux') {
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1024;
  }
  const [, kilobytes = ''] = /^RssAnon:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}
