import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockJob } from '../../infra/index.ts';
import { isRunning, ownIdentity } from '../../infra/process-identity.ts';

const LOCKER = fileURLToPath(new URL('processes/lock.ts', import.meta.url));

let directory: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-lock-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  await rm(directory, { recursive: true });
});

describe("the job's lock", () => {
  it('is had by one at a time, until it is released', async () => {
    const lock = await lockJob(join(directory, 'new', 'folder'));
    await expect(lockJob(join(directory, 'new', 'folder'))).rejects.toMatchObject({ code: 'job-locked' });
    await lock.release();
    await (await lockJob(join(directory, 'new', 'folder'))).release();
  });

  it('goes to one of several that want it at once', async () => {
    const tries = await Promise.allSettled(Array.from({ length: 5 }, () => lockJob(directory)));
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('names the process that has it, and is taken over at once when that is killed', async () => {
    const { child, said } = await startLocker();
    expect(said).toBe('locked');
    const locked = { code: 'job-locked', message: expect.stringContaining(`process ${child.pid} on ${hostname()}`) };
    await expect(lockJob(directory)).rejects.toMatchObject(locked);
    await kill(child);
    const lock = await lockJob(directory);
    expect((await startLocker()).said).toContain(`process ${process.pid} on ${hostname()}`);
    await lock.release();
  });

  it('goes to one of several that find its holder dead', async () => {
    await kill((await startLocker()).child);
    const said = await Promise.all([startLocker(), startLocker(), startLocker()]);
    expect(said.filter((each) => each.said === 'locked')).toHaveLength(1);
  });

  it('is not kept by another process that was given the same pid', async () => {
    await writeHolder({ pid: process.pid, startTicks: 1, host: hostname() });
    await expect(lockJob(directory)).resolves.toBeDefined();
  });

  it('is kept by a process of another machine', async () => {
    await writeHolder({ pid: 999_999_999, startTicks: 1, host: 'elsewhere' });
    const message = expect.stringMatching(/process 999999999 on elsewhere.*job\.lock/s);
    await expect(lockJob(directory)).rejects.toMatchObject({ code: 'job-locked', message });
  });

  it('says when the folder cannot be used', async () => {
    await writeFile(join(directory, 'file'), '');
    await expect(lockJob(join(directory, 'file'))).rejects.toMatchObject({ code: 'bad-usage' });
  });
});

describe("a process's identity", () => {
  it('tells processes with the same pid apart', async () => {
    const own = ownIdentity();
    expect(isRunning(own)).toBe(true);
    expect(isRunning({ ...own, startTicks: (own.startTicks ?? 0) + 1 })).toBe(false);
    expect(isRunning({ pid: own.pid, startTicks: null })).toBe(true);
    const child = spawn('true');
    await once(child, 'exit');
    expect(isRunning({ pid: child.pid ?? 0, startTicks: null })).toBe(false);
  });
});

async function startLocker(): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', LOCKER, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = await once(child.stdout, 'data');
  return { child, said: String(line).trim() };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function writeHolder(holder: { pid: number; startTicks: number; host: string }): Promise<void> {
  const file = open({ path: join(directory, 'job.lock'), noSubdir: true, encoding: 'json' });
  await file.put('holder', { ...holder, since: new Date(0).toISOString() });
  await file.close();
}
