import { execFileSync } from 'node:child_process';
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { openEmbeddedLog } from '../../infra/index.ts';
import type { LogRecord, NewRecord } from '../../operators/index.ts';
import { currentJob, dataFolder } from '../../pipelines/job/job-folder.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import { readTopic } from '../support/read-topic.ts';

const GRAPH = jobGraph({
  name: 'integration',
  ingest: 'window: 256KB',
  speaks: true,
  also: 'standingPrompts: { topic: prompts, every: 1s, prompts: [the], maxTokens: 5 }',
});

const eventSchema = z.looseObject({ event: z.string() });
type Event = z.output<typeof eventSchema>;

let dataDir: string;
let graph: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-up-'));
  graph = join(dataDir, 'graph.yaml');
  await writeFile(graph, GRAPH);
});

afterEach(() => rm(dataDir, { recursive: true, force: true }));

test('trains, speaks, ends when idle, goes on where it was, and takes in what is produced meanwhile', async () => {
  await produce(documents(40));
  const first = await up('--until-idle', '3s').finished;
  expect(first.code, first.stderr).toBe(0);
  const events = eventsOf(first.stdout);
  expect(events.map(({ event }) => event)).toEqual(
    expect.arrayContaining(['ready', 'deployment', 'step', 'checkpoint', 'generation', 'summary']),
  );
  const steps = events.filter(({ event }) => event === 'step');
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1));
  expect(last(events)).toMatchObject({ event: 'summary', reason: 'idle', step: steps.length });

  const second = up();
  await second.line((line) => line.includes('"ready"'));
  await produce(documents(20));
  const step = await second.line((line) => line.includes('"event":"step"'));
  expect(JSON.parse(step)).toMatchObject({ step: steps.length + 1 });
  second.kill('SIGINT');
  const { code, stdout } = await second.finished;
  expect(code).toBe(0);
  expect(last(eventsOf(stdout))).toMatchObject({ event: 'summary', reason: 'interrupted' });
  expect(stdout).toContain('-savepoint');
});

test('stops at exactly the step that it was told, and not before', async () => {
  await produce(documents(200));
  const first = await up('--max-steps', '7').finished;
  expect(last(eventsOf(first.stdout))).toMatchObject({ reason: 'max-steps', step: 7, steps: 7 });
  const second = await up('--max-steps', '12').finished;
  expect(last(eventsOf(second.stdout))).toMatchObject({ reason: 'max-steps', step: 12, steps: 5 });
  const third = await up('--max-steps', '12').finished;
  expect(last(eventsOf(third.stdout))).toMatchObject({ reason: 'max-steps', step: 12, steps: 0 });
});

test('puts what can not be decoded into the dead letters, and goes on', async () => {
  await produce([
    { value: Buffer.from([0xc3, 0x28]) },
    { value: '' },
    { value: 'x'.repeat(2_000_000) },
    { value: null },
  ]);
  await produce(documents(20));
  const { code, stdout } = await up('--until-idle', '2s').finished;
  expect(code).toBe(0);
  const letters = eventsOf(stdout).filter(({ event }) => event === 'deadletter');
  const expected = ['record-not-utf8', 'record-empty', 'document-too-large', 'record-empty'];
  expect(letters.map((letter) => [letter['offset'], letter['code']])).toEqual(expected.map((code, at) => [at, code]));
  const records = await read('deadletters');
  expect(records.map(({ headers }) => headers)).toEqual(
    expected.map((code, offset) =>
      expect.objectContaining({ topic: 'text', partition: '0', offset: `${offset}`, code }),
    ),
  );
  expect(eventsOf(stdout).some(({ event }) => event === 'step')).toBe(true);
});

test('replaces a trainer that was killed, from the last checkpoint, with every step published once', async () => {
  await produce(documents(300));
  const job = up('--until-idle', '3s');
  await job.line((line) => line.includes('"event":"checkpoint"'));
  killTrainerOf(job);
  const { code, stdout } = await job.finished;
  expect(code).toBe(0);
  expect(eventsOf(stdout)).toContainEqual(expect.objectContaining({ event: 'deployment', outcome: 'restarted' }));
  const steps = (await read('metrics')).map(({ value }) => jsonOf(value)['step']);
  expect(steps).toEqual(steps.map((_, index) => index + 1));
});

test('uses the checkpoint before one that is damaged, and says so', async () => {
  await produce(documents(100));
  expect((await up('--max-steps', '5').finished).code).toBe(0);
  expect((await up('--max-steps', '9').finished).code).toBe(0);
  const checkpoints = currentJob(dataFolder(dataDir))?.checkpoints ?? '';
  const newest = last((await readdir(checkpoints)).toSorted());
  const weights = await open(join(checkpoints, newest ?? '', 'weights.safetensors'), 'r+');
  await weights.write(Buffer.from([1, 2, 3, 4]), 0, 4, 100_000);
  await weights.close();
  const { code, stdout, stderr } = await up('--max-steps', '10').finished;
  expect(code).toBe(0);
  expect(stderr).toContain(newest);
  expect(eventsOf(stdout).find(({ event }) => event === 'ready')).toMatchObject({ step: 5 });
  const steps = (await read('metrics')).map(({ value }) => jsonOf(value)['step']);
  expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('refuses a checkpoint of another size of model, and says what to do', async () => {
  await produce(documents(100));
  expect((await up('--max-steps', '2').finished).code).toBe(0);
  const { code, stderr } = await up('--preset', 'small').finished;
  expect(code).toBe(1);
  expect(stderr).toContain('plan-refused');
  expect(stderr).toMatch(/headDim 32 → 64 .*--fresh/);
  const fresh = await up('--fresh', '--max-steps', '2').finished;
  expect(fresh.code).toBe(0);
  expect(last(eventsOf(fresh.stdout))).toMatchObject({ step: 2, steps: 2 });
});

test('refuses a graph that lacks an operator which the checkpoint holds state of, in either stream', async () => {
  await produce(documents(100));
  const first = up();
  // Both streams flow by then, and make a last cut.
  await first.line((line) => line.includes('"generation"'));
  first.kill('SIGINT');
  const { stdout, code: stopped } = await first.finished;
  expect(stopped).toBe(0);
  const step = last(eventsOf(stdout))?.['step'];
  for (const uid of ['pack', 'generate']) {
    await writeFile(graph, GRAPH.replace(`uid: ${uid},`, 'uid: other,'));
    const { code, stderr } = await up().finished;
    expect(code).toBe(1);
    expect(stderr).toContain('plan-refused');
    expect(stderr).toContain(`--discard ${uid}`);
  }
  await writeFile(graph, GRAPH);
  const again = await up('--max-steps', String(step)).finished;
  expect(again.code).toBe(0);
  const totals = { steps: 0, step, bytesTotal: expect.any(Number), bitsPerByteTotal: expect.any(Number) };
  expect(last(eventsOf(again.stdout))).toMatchObject(totals);
});

test('says what to do about a data folder that can not be used, and one whose job can not be found', async () => {
  const unusable = await millrace(['up', graph, '--data-dir', join(graph, 'data')]);
  expect(unusable.code).toBe(2);
  expect(unusable.stderr).toContain('Choose one on a local disk');
  await produce(documents(20));
  await writeFile(dataFolder(dataDir).currentJob, 'no JSON');
  const lost = await up('--max-steps', '1').finished;
  expect(lost.code).toBe(1);
  expect(lost.stderr).toContain('--fresh');
  expect((await up('--max-steps', '1', '--fresh').finished).code).toBe(0);
});

test('goes on with the engine of its checkpoint, and says which settings of a changed graph it does not heed', async () => {
  await produce(documents(100));
  await writeFile(graph, GRAPH.replace('preset: nano', 'preset: nano, engine: { mode: eager }'));
  expect((await up('--max-steps', '2').finished).code).toBe(0);
  await writeFile(
    graph,
    GRAPH.replace('preset: nano', 'preset: nano, seed: 9').replace(
      'generations: {}',
      'generations: { retentionBytes: 1MB }',
    ),
  );
  const auto = await up('--max-steps', '3').finished;
  expect(auto.code, auto.stderr).toBe(0);
  expect(eventsOf(auto.stdout).find(({ event }) => event === 'ready')).toMatchObject({ engine: { mode: 'eager' } });
  expect(auto.stderr).toContain('model.seed is 9, but this job');
  expect(auto.stderr).toContain('Topic generations keeps the retention');
  await writeFile(
    graph,
    GRAPH.replace('nano', 'nano, engine: { mode: compiled, precision: f32, xla: false, threads: 1 }'),
  );
  const other = await up('--max-steps', '4').finished;
  expect(other.stderr).toContain('bits of its losses and weights may differ');
});

test('refuses a second job on the same folder', async () => {
  await produce(documents(100));
  const running = up();
  await running.line((line) => line.includes('"ready"'));
  const { code, stderr } = await up().finished;
  expect(code).toBe(1);
  expect(stderr).toContain('job-locked');
  running.kill('SIGTERM');
  expect((await running.finished).code).toBe(0);
});

test('refuses a graph that can not run with every finding, and bad flags with exit code 2', async () => {
  await writeFile(graph, GRAPH.replace('tickEvery: 200ms', 'tickEvry: 200ms').replace('uid: pack', 'uid: decode'));
  const bad = await up().finished;
  expect(bad.code).toBe(1);
  expect(bad.stderr).toContain('unknown-key');
  expect(bad.stderr).toContain('Did you mean "tickEvery"');
  expect(bad.stderr).not.toContain('    at ');
  for (const args of [
    ['up', '--max-steps', '0'],
    ['up', '--until-idle', '5'],
    ['up', '--preset', 'huge'],
    ['nonsense'],
  ]) {
    expect((await millrace(args)).code, args.join(' ')).toBe(2);
  }
});

function up(...args: string[]): Millrace {
  return new Millrace(['up', graph, '--data-dir', dataDir, '--json', ...args]);
}

function documents(count: number): NewRecord[] {
  return Array.from({ length: count }, (_, index) => ({ value: `the mill ${index} turns. `.repeat(10) }));
}

async function produce(records: readonly NewRecord[]): Promise<void> {
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  await log.createTopic('text');
  await log.produce('text', records);
  await log.close();
}

async function read(topic: string): Promise<LogRecord[]> {
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  const records = await readTopic(log, topic);
  await log.close();
  return records;
}

function eventsOf(stdout: string): Event[] {
  return stdout.split('\n').map((line) => eventSchema.parse(JSON.parse(line)));
}

function jsonOf(value: Uint8Array | null): Record<string, unknown> {
  return z.looseObject({}).parse(JSON.parse(Buffer.from(value ?? []).toString()));
}

function last<T>(values: readonly T[]): T | undefined {
  return values.at(-1);
}

function killTrainerOf({ process: { pid } }: Millrace): void {
  const children = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(pid)], { encoding: 'utf8' }).split('\n');
  const trainer = children.find((line) => line.includes('trainer-main'));
  process.kill(Number(trainer?.trim().split(' ')[0]), 'SIGKILL');
}
