import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { askControl, serveControl } from '../../infra/index.ts';
import type { ControlHandler } from '../../infra/index.ts';
import { MillraceError } from '../../operators/index.ts';
import type { Json } from '../../operators/index.ts';
import { Deferred } from '../support/settle.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-control-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const handlers: Readonly<Record<string, ControlHandler>> = {
  echo: async (input, tell) => {
    tell('half');
    return { input };
  },
  fail: async () => {
    throw new MillraceError('job-busy', 'Not now.');
  },
  never: () => new Promise(() => {}),
};

test('answers requests, tells how far it is, and passes errors on with their codes', async () => {
  const server = await serveControl(folder, handlers);
  const told: Json[] = [];
  const asked = await askControl(folder, 'echo', { a: [1, 'ü'] }, (progress) => told.push(progress));
  expect(asked).toEqual({ output: { input: { a: [1, 'ü'] } } });
  expect(told).toEqual(['half']);
  await expect(askControl(folder, 'fail', null)).rejects.toMatchObject({ code: 'job-busy', message: 'Not now.' });
  await expect(askControl(folder, 'unheard', null)).rejects.toMatchObject({ code: 'bad-usage' });
  await server.close();
});

test('may be asked by its user only, also where the path of the folder is too long for a socket', async () => {
  const long = join(folder, 'x'.repeat(90));
  await mkdir(long);
  for (const place of [folder, long]) {
    const server = await serveControl(place, handlers);
    expect(await askControl(place, 'echo', 1)).toEqual({ output: { input: 1 } });
    await server.close();
  }
  const server = await serveControl(folder, handlers);
  expect((await stat(join(folder, 'control.sock'))).mode & 0o077).toBe(0);
  await server.close();
});

test('says that nobody runs, also where a process that died has left its address', async () => {
  expect(await askControl(folder, 'echo', null)).toBeNull();
  await writeFile(join(folder, 'control.json'), JSON.stringify({ socket: join(folder, 'gone.sock') }));
  expect(await askControl(folder, 'echo', null)).toBeNull();
});

test('tells who waits that the process has ended', async () => {
  const server = await serveControl(folder, handlers);
  const asked = askControl(folder, 'never', null).catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await server.close();
  expect(await asked).toMatchObject({ code: 'process-died' });
});

test('who asks may leave, which whoever answers is told', async () => {
  const forsaken = new Deferred<void>();
  const forsake: ControlHandler = (_, tell, signal) => {
    signal.addEventListener('abort', () => forsaken.resolve());
    tell('begun');
    return new Promise(() => {});
  };
  const server = await serveControl(folder, { forsake });
  const leaving = new AbortController();
  const asked = askControl(folder, 'forsake', null, () => leaving.abort(), leaving.signal);
  await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
  await forsaken.promise;
  await server.close();
});
