import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openEmbeddedLog } from '../../infra/index.ts';
import { dataFolder } from '../../pipelines/job/job-folder.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import type { Finished } from '../support/millrace.ts';

const BIN = fileURLToPath(new URL('../../pipelines/millrace.mjs', import.meta.url));
const INTERRUPTED = 130;

let folder: string;
let dataDir: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
  dataDir = join(folder, 'data');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function produce(args: readonly string[], input?: string): Promise<Finished> {
  return millrace(['produce', '--data-dir', dataDir, ...args], input);
}

function tail(args: readonly string[]): Promise<Finished> {
  return millrace(['tail', '--data-dir', dataDir, ...args]);
}

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, content);
  return path;
}

const recordSchema = z.object({
  topic: z.string(),
  partition: z.number(),
  offset: z.number(),
  timestamp: z.iso.datetime(),
  key: z.unknown(),
  value: z.unknown(),
  headers: z.record(z.string(), z.string()),
});

/** All records of a topic, as `tail --json` prints them. */
async function records(topic: string): Promise<z.output<typeof recordSchema>[]> {
  const { code, stdout } = await tail([topic, '--until-end', '--json']);
  expect(code).toBe(0);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => recordSchema.parse(JSON.parse(line)));
}

async function values(topic: string): Promise<unknown[]> {
  return (await records(topic)).map(({ value }) => value);
}

describe('millrace', () => {
  it.each([
    [['nonsense'], /unknown command 'nonsense'/],
    [['produce', 'text'], /missing required argument 'paths'/],
    [['produce', 'text', '-', '--split', 'word'], /Allowed choices are line, paragraph, file/],
    [['produce', 'text', '-', '--partitions', '0'], /whole number from 1 to 10000/],
    [['produce', 'text', '-', '--ext', '*.txt'], /extensions with commas/],
    [['tail', 'text', '--from', 'yesterday'], /earliest, latest, or an offset/],
    [['tail', 'text', '--max', '1.5'], /whole number of at least 1/],
    [['tail', 'text', '--folow'], /unknown option '--folow'/],
    [['generate', 'x', '--timeout', '60'], /duration with a unit/],
    [['generate', 'x', '--top-p', '2'], /number from 0.000001 to 1/],
    [['checkpoints', 'list', '--all'], /unknown option '--all'/],
  ])('refuses %j with exit code 2 and the reason', async (args, reason) => {
    const { code, stderr } = await millrace(args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(reason) });
  });

  it.each(['produce', 'tail', 'generate', 'checkpoints'])('shows examples of %s', async (command) => {
    const { code, stdout } = await millrace([command, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples:\n {2}millrace/);
  });
});

describe('millrace produce', () => {
  it('makes a record of each text file of a folder, by name, and passes over the others', async () => {
    await file('in/b.txt', 'second');
    await file('in/a.md', 'first\n');
    await file('in/c/d.txt', 'third');
    await file('in/empty.txt', '');
    await file('in/picture.png', Buffer.from([0x89, 0x50, 0, 1]));
    await file('in/.hidden', 'no');
    const { code, stdout } = await produce(['text', join(folder, 'in')]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Produced 3 records \(17 B\) from 4 inputs to topic text/);
    expect(stdout).toMatch(/Skipped 1 empty record\.\nSkipped 1 file without text, such as .*picture\.png\./);
    expect(await values('text')).toEqual(['first\n', 'second', 'third']);

    await produce(['only', join(folder, 'in'), '--ext', 'txt']);
    expect(await values('only')).toEqual(['second', 'third']);
  });

  it('splits standard input by lines, files as it is told, and says so in JSON', async () => {
    const book = await file('book.txt', 'One\nparagraph.\n\n\nAnother.\r\n\r\nLast');
    expect((await produce(['text', '-'], 'a\n\nb\r\nc')).code).toBe(0);
    const { stdout } = await produce(['text', book, '--split', 'paragraph', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ topic: 'text', records: 3, emptySkipped: 0, inputs: 1 });
    expect(await values('text')).toEqual(['a', 'b', 'c', 'One\nparagraph.', 'Another.', 'Last']);
  });

  it('passes bytes on that are no text, and tail shows each value as what it is', async () => {
    const latin1 = await file('latin1.txt', Buffer.from([0x63, 0x61, 0x66, 0xe9]));
    await produce(['text', latin1, '--key', 'k']);
    await produce(['text', '-'], '{"a": [1]}\n1801\ncafé\n');
    const [first, ...rest] = await records('text');
    expect(first).toMatchObject({ topic: 'text', partition: 0, offset: 0, key: 'k', headers: {} });
    expect(first?.value).toEqual({ base64: 'Y2Fm6Q==' });
    expect(rest.map(({ value, key }) => [value, key])).toEqual([
      [{ a: [1] }, null],
      ['1801', null],
      ['café', null],
    ]);
  });

  it('spreads records over the partitions that it makes, and refuses another number later', async () => {
    await produce(['text', '-', '--partitions', '3'], 'a\nb\nc\nd');
    expect((await records('text')).map(({ partition }) => `${partition}`).toSorted()).toEqual(['0', '0', '1', '2']);
    expect((await produce(['text', '-'], 'e')).code).toBe(0);
    const { code, stderr } = await produce(['text', '-', '--partitions', '2'], 'f');
    expect(code).toBe(1);
    expect(stderr).toMatch(/has 3 partition\(s\), not 2.*\[topic-mismatch\]/);
  });

  it('looks at all paths before it produces anything', async () => {
    const good = await file('good.txt', 'good');
    const { code, stderr } = await produce(['text', good, join(folder, 'missing.txt')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/no file or folder .*missing\.txt\. Nothing was produced\./);
    const large = await file('large.txt', Buffer.alloc(16 * 1024 * 1024 + 1, 'x'));
    const second = await produce(['text', good, large]);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/large\.txt \(16\.0 MB\) is larger.*--split paragraph.*\[record-too-large\]/);
    expect(await values('text')).toEqual([]);
  });

  it('produces live input as it comes, and ends cleanly at Ctrl-C', async () => {
    const child = spawn(process.execPath, [BIN, 'produce', 'text', '-', '--data-dir', dataDir], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.write('a line\nhalf a li');
    // The topic is there once the child has begun.
    await expect.poll(() => tail(['text', '--until-end']), { timeout: 30_000 }).toMatchObject({ stdout: 'a line' });
    child.kill('SIGINT');
    const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
    expect(child.exitCode).toBe(INTERRUPTED);
    expect(output).toMatch(/^Interrupted\. Produced 1 record /);
  });
});

describe('millrace tail', () => {
  it('follows what two other processes produce at the same time', async () => {
    await produce(['text', '-', '--partitions', '2'], 'first');
    const follower = new Millrace([
      'tail',
      'text',
      '--data-dir',
      dataDir,
      '--from',
      'earliest',
      '--max',
      '201',
      '--json',
    ]);
    await follower.line((line) => line.includes('"first"'));
    await Promise.all([produce(['text', '-'], numbered('a')), produce(['text', '-'], numbered('b'))]);
    const { code, stdout } = await follower.finished;
    expect(code).toBe(0);
    const seen = stdout.split('\n').map((line) => recordSchema.parse(JSON.parse(line)));
    const expected = ['first', ...numbered('a').split('\n'), ...numbered('b').split('\n')];
    expect(seen.map(({ value }) => String(value)).toSorted()).toEqual(expected.toSorted());
    for (const partition of [0, 1]) {
      const offsets = seen.filter((record) => record.partition === partition).map(({ offset }) => offset);
      expect(offsets).toEqual(offsets.map((_, at) => at));
    }
  });

  it('begins where it is told, and ends where the topic ends', async () => {
    await produce(['text', '-'], 'a\nb\nc\nd');
    expect((await tail(['text', '--from', '2', '--until-end'])).stdout).toBe('c\nd');
    expect((await tail(['text', '--until-end', '--max', '1'])).stdout).toBe('a');
    expect((await tail(['text', '--from', 'latest', '--until-end'])).stdout).toBe('');

    const { code, stderr } = await tail(['text', '--from', '9', '--max', '1']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/ends at 4.*\[offset-out-of-range\]/) });
  });

  it('wants a partition with an offset where there are several', async () => {
    await produce(['text', '-', '--partitions', '2'], 'a\nb');
    const { code, stderr } = await tail(['text', '--from', '0']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/Add --partition/) });
    expect((await tail(['text', '--from', '0', '--partition', '1', '--until-end'])).stdout).toBe('b');
    expect((await tail(['text', '--partition', '2'])).stderr).toMatch(/no partition 2.*\[topic-missing\]/);
  });

  it('names the topics that there are when one is missing, and makes no folder', async () => {
    const none = await tail(['text']);
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/has no log yet.*\[topic-missing\]/);
    expect(existsSync(dataDir)).toBe(false);
    await produce(['text', '-'], 'a');
    expect((await tail(['txet'])).stderr).toMatch(/no topic txet in .* It has: text\. \[topic-missing\]/);
  });

  it('shows answers, reports and dead letters as people read them', async () => {
    const log = await openEmbeddedLog(dataFolder(dataDir).log);
    const weights = { id: '000000001', step: 7 };
    const delta = { event: 'generation', id: 'ask-1', index: 0, text: 'Of', finish: null, weights };
    const totals = { tokens: 10, bytes: 40, bits: 80 };
    const step = { event: 'step', step: 3, loss: null, bitsPerByte: 1.5, gradNorm: 0.5, lr: 0.001, tokens: 10, totals };
    await log.createTopic('mixed');
    await log.produce('mixed', [
      { value: JSON.stringify(delta) },
      { value: JSON.stringify({ ...delta, index: 1, text: ' the Union', finish: 'stop' }) },
      { value: JSON.stringify({ ...step, skipped: false, fault: null }) },
      { value: 'x', headers: { topic: 'text', partition: '0', offset: '17', code: 'record-empty', message: 'Empty.' } },
      { value: null },
    ]);
    await log.close();
    expect((await tail(['mixed', '--until-end'])).stdout.split('\n')).toEqual([
      'ask-1 (step 7)',
      'Of the Union',
      '',
      'step 3  1.500 bits/byte (2.000 overall)  loss –  lr 1.0e-3  gradient 0.500  10 tokens',
      'dead letter text/0@17 record-empty  Empty.',
      '(no value)',
    ]);
  });

  it('ends quietly when its reader has had enough', async () => {
    await produce(['text', '-'], 'x'.repeat(1000).concat('\n').repeat(5000));
    const follower = new Millrace(['tail', 'text', '--data-dir', dataDir, '--from', 'earliest']);
    await follower.line(() => true);
    follower.process.stdout?.destroy();
    const { code, stderr } = await follower.finished;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('ends with exit code 0 at Ctrl-C', async () => {
    await produce(['text', '-'], 'a');
    const follower = new Millrace(['tail', 'text', '--data-dir', dataDir, '--from', 'earliest']);
    await follower.line((line) => line === 'a');
    follower.kill('SIGINT');
    expect(await follower.finished).toEqual({ code: 0, stdout: 'a', stderr: '' });
  });
});

function numbered(name: string): string {
  return Array.from({ length: 100 }, (_, at) => `${name}${at}`).join('\n');
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  let whole = '';
  for await (const chunk of stream) whole += chunk.toString();
  return whole;
}
