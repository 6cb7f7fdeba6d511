import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { logDeadLetters, openEmbeddedLog } from '../../infra/index.ts';
import { dataFolder } from '../../pipelines/job/job-folder.ts';
import { millrace } from '../support/millrace.ts';
import type { Finished } from '../support/millrace.ts';
import { readTopic } from '../support/read-topic.ts';

const BINARY = Buffer.from([0xff, 0xfe, 0x41, 0x42]);

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-letters-'));
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  const letters = logDeadLetters(log, 'deadletters');
  await log.createTopic('text');
  await log.createTopic('prompts');
  const bury = async (topic: string, value: Buffer, code: 'prompt-invalid' | 'record-not-utf8'): Promise<void> => {
    const [at] = await log.produce(topic, [{ value }]);
    if (at) await letters.put({ at, code, message: 'Convert it\u001b[2J first.', key: null, value });
  };
  await bury('text', BINARY, 'record-not-utf8');
  await bury('prompts', Buffer.from('{"prompt": 7}'), 'prompt-invalid');
  await bury('text', BINARY, 'record-not-utf8');
  await log.close();
});
afterEach(() => rm(dataDir, { recursive: true }));

test('lists letters, and shows one as text or in hex', async () => {
  const { code, stdout } = await deadletters();
  expect(code).toBe(0);
  const [titles, ...rows] = stdout.split('\n');
  expect(titles).toMatch(/^letter +buried +code +record +size +replayed +why$/);
  expect(rows.map((row) => row.split(/ {2,}/)[3])).toEqual(['text/0@0', 'prompts/0@0', 'text/0@1']);
  expect(stdout).not.toContain('\u001b');

  const chosen = await deadletters('list', '--code', 'record-not-utf8', '--limit', '1', '--json');
  expect(JSON.parse(chosen.stdout)).toMatchObject({ id: '0:2', topic: 'text', offset: 1, bytes: 4, replayed: null });

  const binary = await deadletters('show', '2');
  expect(binary.stdout).toContain('00000000  ff fe 41 42');
  expect(binary.stdout).toMatch(/ {2}\.\.AB$/m);
  expect((await deadletters('show', '0:1')).stdout).toMatch(/\n\n\{"prompt": 7\}$/);
});

test('replays letters to their topic once, and says which were before', async () => {
  const dry = await deadletters('replay', '--code', 'record-not-utf8', '--dry-run');
  expect(dry.stdout).toBe('0:0  record-not-utf8  text/0@0\n0:2  record-not-utf8  text/0@1\nWould replay 2 letters.');
  expect((await deadletters('replay', '0:0')).stdout).toBe('Replayed 1 letter.');
  const rest = await deadletters('replay', '--topic', 'text');
  expect(rest).toMatchObject({ code: 0, stdout: 'Replayed 1 letter.', stderr: expect.stringContaining('--again') });

  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  const values = (await readTopic(log, 'text')).map(({ value }) => value);
  await log.close();
  expect(values).toEqual([BINARY, BINARY, BINARY, BINARY]);
  expect((await deadletters('list', '--topic', 'prompts')).stdout).toMatch(/ no +Convert/);
});

test('says what is wrong with what was asked', async () => {
  expect(await deadletters('replay')).toMatchObject({ code: 2, stderr: expect.stringContaining('--all') });
  expect(await deadletters('replay', 'x')).toMatchObject({ code: 2, stderr: expect.stringContaining('0:12') });
  expect(await deadletters('show', '0:9')).toMatchObject({ code: 2, stderr: expect.stringContaining('list') });
});

function deadletters(...args: string[]): Promise<Finished> {
  const [command = 'list', ...rest] = args;
  return millrace(['deadletters', command, '--data-dir', dataDir, ...rest]);
}
