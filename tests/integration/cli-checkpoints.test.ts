import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCheckpointStore } from '../../infra/index.ts';
import type { CutReason } from '../../operators/index.ts';
import { dataFolder, startJob } from '../../pipelines/job/job-folder.ts';
import type { JobFolder } from '../../pipelines/job/job-folder.ts';
import { millrace } from '../support/millrace.ts';

const FIRST = '000000001';
const SECOND = '000000002-savepoint';

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
});
afterEach(async () => {
  await rm(dataDir, { recursive: true });
});

function checkpoints(...args: readonly string[]): ReturnType<typeof millrace> {
  return millrace(['checkpoints', ...args, '--data-dir', dataDir]);
}

/** A job that has made a periodic checkpoint and a savepoint. */
async function saveTwo(): Promise<JobFolder> {
  const job = startJob(dataFolder(dataDir), 'embedded');
  const logger = { info: () => undefined, warn: () => undefined };
  const store = await openCheckpointStore(job.checkpoints, { jobId: job.id, logger, describe: { preset: 'nano' } });
  await mkdir(job.staging, { recursive: true });
  const totals = { tokens: 20_480, bytes: 81_920, bits: 163_840 };
  for (const reason of ['timer', 'savepoint'] satisfies CutReason[]) {
    const path = join(job.staging, 'weights');
    await writeFile(path, Buffer.alloc(3000));
    const trained = { step: 1200, totals, waiting: [], trainer: {} };
    const states = new Map([
      ['ingest', { state: {} }],
      ['train', { state: trained, files: [{ name: 'weights.safetensors', path }] }],
    ]);
    await store.put({ reason, states });
  }
  return job;
}

describe('millrace checkpoints', () => {
  it('says when there is no job, or none of its checkpoints', async () => {
    const noJob = await checkpoints();
    expect({ code: noJob.code, stderr: noJob.stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/No job has run/),
    });
    startJob(dataFolder(dataDir), 'embedded');
    const { code, stdout } = await checkpoints();
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^Job \w+ has no checkpoints yet\.$/) });
  });

  it('lists them, as a table and as JSON', async () => {
    await saveTwo();
    const { code, stdout } = await checkpoints('list');
    expect(code).toBe(0);
    const [title, ...rows] = stdout.split('\n').map((line) => line.split(/ {2,}/));
    expect(title).toEqual(['checkpoint', 'reason', 'step', 'saved', 'size', 'condition']);
    const saved = expect.stringMatching(/ ago$/);
    expect(rows).toEqual([
      [FIRST, 'timer', '1,200', saved, '2.9 KB', 'unchecked'],
      [SECOND, 'savepoint', '1,200', saved, '2.9 KB', 'unchecked'],
    ]);
    const lines = (await checkpoints('--json', '--verify')).stdout.split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
      { id: FIRST, reason: 'timer', step: 1200, bytes: 3000, condition: 'intact', problem: null },
      { id: SECOND, reason: 'savepoint', condition: 'intact' },
    ]);
  });

  it('finds damage, and ends with exit code 1 then', async () => {
    const job = await saveTwo();
    await appendFile(join(job.checkpoints, FIRST, 'weights.safetensors'), 'x');
    expect((await checkpoints()).code).toBe(0);
    const { code, stdout, stderr } = await checkpoints('--verify');
    expect(code).toBe(1);
    expect(stdout).toMatch(new RegExp(`^${FIRST} .* corrupt$`, 'm'));
    expect(stdout).toMatch(new RegExp(`^${SECOND} .* intact$`, 'm'));
    expect(stderr).toMatch(/weights\.safetensors has 3001 bytes instead of 3000.*\[checkpoint-corrupt\]/);

    await appendFile(join(job.checkpoints, SECOND, 'manifest.json'), ' ');
    const unreadable = await checkpoints();
    expect(unreadable.code).toBe(1);
    expect(unreadable.stdout).toMatch(new RegExp(`^${SECOND} .* corrupt$`, 'm'));
  });

  it('shows what one holds, unless it is damaged', async () => {
    const job = await saveTwo();
    const { code, stdout } = await checkpoints('inspect', FIRST);
    expect(code).toBe(0);
    for (const fact of [
      `checkpoint +${FIRST} \\(timer\\), intact`,
      `job +${job.id}`,
      'step +1,200',
      'trained on +20,480 tokens, 80\\.0 KB of text',
      'bits per byte +2\\.000',
      'preset +nano',
      'states of +ingest, train',
      'weights\\.safetensors +2\\.9 KB +[0-9a-f]{12} +train',
    ]) {
      expect(stdout).toMatch(new RegExp(`^${fact}$`, 'm'));
    }
    expect(JSON.parse((await checkpoints('inspect', FIRST, '--json')).stdout)).toMatchObject({ id: FIRST });

    const missing = await checkpoints('inspect', '000000009');
    expect({ code: missing.code, stderr: missing.stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(new RegExp(`no checkpoint 000000009\\. It has: ${FIRST}, ${SECOND}\\.`)),
    });
    await rm(join(job.checkpoints, FIRST, 'weights.safetensors'));
    const damaged = await checkpoints('inspect', FIRST);
    expect({ code: damaged.code, stderr: damaged.stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/weights\.safetensors cannot be read.*\[checkpoint-corrupt\]/),
    });
  });
});
