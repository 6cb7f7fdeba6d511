import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import type * as FsPromises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openCheckpointStore, readManifest } from '../../infra/index.ts';
import type { CheckpointStore, Cut, Logger } from '../../operators/ports.ts';
import type { SnapshotFile } from '../../operators/types.ts';
import { describeCheckpointStore } from './checkpoint-store.ts';

const CHECKPOINTER = fileURLToPath(new URL('processes/checkpoint.ts', import.meta.url));

/** Fails the n-th call from now on of those that change the disk. */
const faults = vi.hoisted(() => ({ callsLeft: Infinity, code: 'EIO' }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof FsPromises>();
  const { copyFile, mkdir, open, rename } = real;
  return { ...real, copyFile: failing(copyFile), mkdir: failing(mkdir), open: failing(open), rename: failing(rename) };
});

function failing<A extends unknown[], R>(call: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
  return async (...args) => {
    faults.callsLeft -= 1;
    if (faults.callsLeft === 0) throw Object.assign(new Error(`injected ${faults.code}`), { code: faults.code });
    return call(...args);
  };
}

let root: string;
let directory: string;
let store: CheckpointStore;
const warnings: { message: string; code: unknown }[] = [];
const logger: Logger = {
  info: () => undefined,
  warn: (message, fields) => warnings.push({ message, code: fields?.['code'] }),
};

async function setUp(): Promise<void> {
  root = await mkdtemp(join(tmpdir(), 'millrace-checkpoints-'));
  directory = join(root, 'store');
  await writeFile(join(root, 'tokenizer.json'), '{"model":"bytes"}');
  warnings.length = 0;
  store = await open();
}

function open(): Promise<CheckpointStore> {
  const files = [{ name: 'tokenizer.json', path: join(root, 'tokenizer.json') }];
  return openCheckpointStore(directory, { jobId: 'job', logger, describe: { version: '0.1.0' }, files });
}

/** Without static files. */
function openBare(): Promise<CheckpointStore> {
  return openCheckpointStore(directory, { jobId: 'job', logger, describe: {} });
}

async function stage(name: string, bytes: Uint8Array): Promise<SnapshotFile> {
  const path = join(root, `staged-${name}`);
  await writeFile(path, bytes);
  return { name, path };
}

async function cutWithWeights(): Promise<Cut> {
  const files = [await stage('weights.bin', randomBytes(5000)), await stage('optimizer.bin', randomBytes(100))];
  return { reason: 'timer', states: new Map([['train', { state: { step: 1 }, files }]]) };
}

const tearDown = (): Promise<void> => rm(root, { recursive: true });

describeCheckpointStore('the directory of checkpoints', async () => {
  await setUp();
  return { store: await openBare(), reopen: openBare, stage, close: tearDown };
});

describe('the directory of checkpoints', () => {
  beforeEach(setUp);
  afterEach(async () => {
    faults.callsLeft = Infinity;
    await tearDown();
  });

  it('does not prune what is held, and keeps as many others as before', async () => {
    const held = new Set<string>();
    store = await openCheckpointStore(directory, { jobId: 'job', logger, describe: {}, held: () => held });
    const ids: string[] = [];
    for (let at = 0; at < 4; at += 1) ids.push((await store.put({ reason: 'timer', states: new Map() })).id);
    held.add(ids[0] ?? '');
    await store.prune(2);
    expect((await store.list()).map(({ id }) => id)).toEqual([ids[0], ids[2], ids[3]]);
    held.clear();
    await store.prune(2);
    expect((await store.list()).map(({ id }) => id)).toEqual([ids[2], ids[3]]);
  });

  it('makes each checkpoint self-contained, and describes it', async () => {
    const { id, path } = await store.put(await cutWithWeights());
    const names = ['manifest.json', 'manifest.json.sha256', 'optimizer.bin', 'tokenizer.json', 'weights.bin'];
    expect((await readdir(path)).toSorted()).toEqual(names);
    expect(await readManifest(path)).toMatchObject({
      formatVersion: 1,
      id,
      jobId: 'job',
      reason: 'timer',
      describe: { version: '0.1.0' },
      files: [
        { name: 'weights.bin', bytes: 5000, uid: 'train' },
        { name: 'optimizer.bin', bytes: 100, uid: 'train' },
        { name: 'tokenizer.json', bytes: 17, uid: null },
      ],
    });
    const sum = createHash('sha256')
      .update(await readFile(join(path, 'manifest.json')))
      .digest('hex');
    expect(await readFile(join(path, 'manifest.json.sha256'), 'utf8')).toBe(`${sum}  manifest.json\n`);
    await writeFile(join(root, 'tokenizer.json'), 'changed in place');
    expect((await store.latest())?.id).toBe(id);
  });

  it.each([
    ['truncated weights', (path: string) => truncate(join(path, 'weights.bin'), 4999)],
    ['a flipped bit in the weights', (path: string) => flipBit(join(path, 'weights.bin'), 3000)],
    ['a flipped bit in the manifest', async (path: string) => flipDigit(join(path, 'manifest.json'))],
    ['missing weights', (path: string) => unlink(join(path, 'weights.bin'))],
    ['a missing manifest', (path: string) => unlink(join(path, 'manifest.json'))],
    ['a missing checksum', (path: string) => unlink(join(path, 'manifest.json.sha256'))],
    ['an empty manifest', (path: string) => truncate(join(path, 'manifest.json'))],
  ])('passes over a checkpoint with %s, and says so', async (_, damage) => {
    const good = await store.put(await cutWithWeights());
    const bad = await store.put(await cutWithWeights());
    await damage(bad.path);
    expect((await store.latest())?.id).toBe(good.id);
    expect(warnings).toEqual([{ message: expect.stringContaining(bad.id), code: 'checkpoint-corrupt' }]);
    expect((await store.list()).map(({ id }) => id)).toEqual([good.id]);
    await expect(store.read(bad.id)).rejects.toMatchObject({ code: 'checkpoint-corrupt' });
    expect((await store.put(await cutWithWeights())).id > bad.id).toBe(true);
  });

  it('does not count damaged checkpoints among those that are kept', async () => {
    const infos = [];
    for (let at = 0; at < 4; at += 1) infos.push(await store.put(await cutWithWeights()));
    await unlink(join(infos[3]?.path ?? '', 'manifest.json'));
    await store.prune(2);
    expect((await readdir(directory)).toSorted()).toEqual(infos.slice(1).map(({ id }) => id));
  });

  it.each(['ENOSPC', 'EIO'])('is as before when any step fails with %s', async (code) => {
    const before = await store.put(await cutWithWeights());
    const expected = code === 'ENOSPC' ? 'disk-full' : 'checkpoint-write-failed';
    let failures = 0;
    for (;;) {
      const next = await cutWithWeights();
      Object.assign(faults, { code, callsLeft: failures + 1 });
      const outcome = await store.put(next).catch((error: unknown) => error);
      faults.callsLeft = Infinity;
      if (!(outcome instanceof Error)) break;
      failures += 1;
      expect(outcome).toMatchObject({ code: expected });
      // Only the last step, which flushes the store's directory, comes after the commit.
      const ids = (await store.list()).map(({ id }) => id);
      expect([1, 2]).toContain(ids.length);
      expect(ids[0]).toBe(before.id);
      expect((await readdir(directory)).filter((name) => name.startsWith('.'))).toEqual([]);
      if (ids[1]) await rm(join(directory, ids[1]), { recursive: true });
    }
    expect(failures).toBeGreaterThan(10);
    expect(warnings).toEqual([]);
  });

  it('copies files that lie on another device', async () => {
    const next = await cutWithWeights();
    Object.assign(faults, { code: 'EXDEV', callsLeft: 2 });
    const { id } = await store.put(next);
    expect((await store.read(id)).states.get('train')?.files).toHaveLength(2);
    expect((await readdir(root)).filter((name) => name.startsWith('staged'))).toEqual([]);
  });

  it('is whole whenever a process that writes to it is killed, and tidies up after it', async () => {
    for (const killAfterMs of [5, 20, 35, 50]) {
      const args = ['--import', 'tsx', CHECKPOINTER, directory, root];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let newest = '';
      const killed = once(child, 'exit');
      for await (const line of createInterface({ input: child.stdout })) {
        if (newest === '') setTimeout(() => child.kill('SIGKILL'), killAfterMs);
        newest = line;
      }
      await killed;
      store = await open();
      expect((await store.latest())?.id.localeCompare(newest)).toBeGreaterThanOrEqual(0);
      expect((await readdir(directory)).filter((name) => name.startsWith('.'))).toEqual([]);
      await store.prune(1);
      expect(await store.list()).toHaveLength(1);
    }
    expect(warnings).toEqual([]);
  });

  it('leaves alone what a running process has under way', async () => {
    const busy = join(directory, `.aside-${process.ppid}-none-0`);
    const strange = join(directory, 'notes');
    await mkdir(busy);
    await mkdir(strange);
    store = await open();
    expect((await readdir(directory)).toSorted()).toEqual([`.aside-${process.ppid}-none-0`, 'notes']);
    expect(await store.list()).toEqual([]);
  });

  it('says when its directory cannot be made', async () => {
    await writeFile(join(root, 'file'), '');
    const opening = openCheckpointStore(join(root, 'file', 'store'), { jobId: 'job', logger, describe: {} });
    await expect(opening).rejects.toMatchObject({ code: 'checkpoint-write-failed' });
  });
});

async function flipBit(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(path, bytes);
}

/** The manifest stays good JSON with good fields: only its checksum can tell. */
async function flipDigit(path: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace('"step": 1', '"step": 2'));
}
