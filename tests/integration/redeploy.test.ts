import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { fillTopic, metricsOf } from '../support/embedded-topics.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import type { Finished } from '../support/millrace.ts';

const GRAPH = jobGraph({ name: 'redeploy', model: 'learningRate: 0.002', ingest: 'window: 8KB', batch: '' });
const SLOWER = GRAPH.replace('0.002', '0.001').replace('maxBytes: 1MB', 'maxBytes: 2MB');
const TALLER = SLOWER.replace('batch: {}', 'batch: { rows: 16 }');

const historySchema = z.object({ how: z.string(), outcome: z.string() });

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-redeploy-'));
  await Promise.all([
    writeFile(join(folder, 'graph.yaml'), GRAPH),
    writeFile(join(folder, 'slower.yaml'), SLOWER),
    writeFile(join(folder, 'taller.yaml'), TALLER),
  ]);
});

afterEach(() => rm(folder, { recursive: true, force: true }));

test('deploys and rolls back while it trains, with the curve of a job that is stopped and started at the same steps', async () => {
  const live = await filled('live');
  const job = new Millrace(['up', join(folder, 'graph.yaml'), '--data-dir', live, '--json']);
  await job.line((line) => line.includes('"step":10,'));
  expect((await command('deploy', live, join(folder, 'slower.yaml'))).stderr).toContain('--yes');
  const deployed = await command('deploy', live, join(folder, 'slower.yaml'), '--yes');
  expect(deployed.code, deployed.stderr).toBe(0);
  expect(deployed.stdout).toContain('Version 2 is live since cut');
  const again = await command('deploy', live, join(folder, 'slower.yaml'), '--yes', '--json');
  expect(JSON.parse(again.stdout)).toMatchObject({ outcome: 'nothing', version: 2 });
  await produce(live);
  const back = await command('rollback', live, '--yes');
  expect(back.code, back.stderr).toBe(0);
  await produce(live);
  await job.line((line) => line.includes('"step":150,'));
  job.kill('SIGINT');
  const { code, stderr } = await job.finished;
  expect(code, stderr).toBe(0);
  const [down = 0, up = 0] = cutsIn(job);
  const steps = await metricsOf(live);
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1));
  expect(steps.some(({ lr }, index) => index >= down && lr < (steps[index - 1]?.lr ?? 0))).toBe(true);
  expect(await historyOf(live)).toEqual(['up live', 'deploy live', 'rollback live']);

  const stopped = await filled('stopped');
  await produce(stopped);
  await produce(stopped);
  await run(stopped, 'graph.yaml', down);
  await run(stopped, 'slower.yaml', up);
  await run(stopped, 'graph.yaml', steps.length);
  expect(await metricsOf(stopped)).toEqual(steps);
});

test('trains every record once where batches get another shape, and stays as it was where a graph can not go on', async () => {
  const dataDir = await filled('taller');
  const job = new Millrace(['up', join(folder, 'graph.yaml'), '--data-dir', dataDir, '--json']);
  await job.line((line) => line.includes('"step":5,'));
  const taller = await command('deploy', dataDir, join(folder, 'taller.yaml'), '--yes', '--json');
  expect(taller.code, taller.stderr).toBe(0);
  await writeFile(join(folder, 'other.yaml'), TALLER.replace('uid: pack', 'uid: packer'));
  const refused = await command('deploy', dataDir, join(folder, 'other.yaml'), '--json');
  expect(refused.stderr).toContain('plan-refused');
  await produce(dataDir);
  await job.line((line) => line.includes('"tokens":1024,'));
  job.kill('SIGINT');
  const { code, stderr } = await job.finished;
  expect(code, stderr).toBe(0);
  const steps = await metricsOf(dataDir);
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1));
  expect(steps.some(({ tokens }) => tokens === 16 * 64)).toBe(true);
  // Records follow one another; a long one goes on in the next step, and nothing else stands twice.
  const spans = steps.flatMap((step) => step.spans);
  const gaps = spans.slice(1).map(({ from }, index) => from - (spans[index]?.to ?? 0));
  expect(new Set([...gaps, 0, -1])).toEqual(new Set([0, -1]));
  expect(spans[0]?.from).toBe(0);
});

test('makes savepoints of a job that runs or not, and begins new jobs from them, here or elsewhere', async () => {
  const home = await filled('home');
  const job = new Millrace(['up', join(folder, 'graph.yaml'), '--data-dir', home, '--json']);
  await job.line((line) => line.includes('"step":5,'));
  const made = await command('savepoint', home, 'create', '--json');
  expect(made.code, made.stderr).toBe(0);
  const { id, path } = z.object({ id: z.string(), path: z.string() }).parse(JSON.parse(made.stdout));
  const { step } = await savedIn(home, id);
  await produce(home);
  await job.line((line) => line.includes(`"step":${step + 5},`));
  job.kill('SIGINT');
  expect((await job.finished).code).toBe(0);
  expect((await command('savepoint', home, 'list')).stdout).toContain(id);
  // The newest is the one of Ctrl-C, which is a savepoint already.
  expect((await command('savepoint', home, 'create')).stdout).toContain('-savepoint');
  const before = await metricsOf(home);

  // Here: a job of its own on the same offsets, with the same curve.
  await run(home, 'graph.yaml', step + 5, '--from', id);
  const both = await metricsOf(home);
  expect(both.slice(before.length)).toEqual(before.filter((each) => each.step > step && each.step <= step + 5));
  expect((await command('savepoint', home, 'list')).stdout).not.toContain(id);

  // Elsewhere: other topics, from their start, on the weights of the savepoint, also without being told the graph.
  const away = await filled('away');
  const fork = await millrace(['up', '--from', path, '--data-dir', away, '--max-steps', String(step + 3), '--json']);
  expect(fork.code, fork.stderr).toBe(0);
  expect(fork.stderr).toContain('of another log');
  const [first, ...rest] = await metricsOf(away);
  expect(first).toMatchObject({ step: step + 1 });
  expect(rest).toHaveLength(2);

  expect(await readdir(path)).toContain('manifest.json');
  const refused = await command('savepoint', away, 'drop', id);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('has no savepoint');
});

function command(name: string, dataDir: string, ...args: string[]): Promise<Finished> {
  return millrace([name, ...args, '--data-dir', dataDir]);
}

async function run(dataDir: string, graph: string, maxSteps: number, ...args: string[]): Promise<void> {
  const until = ['--max-steps', String(maxSteps)];
  const { code, stderr } = await millrace(['up', join(folder, graph), '--data-dir', dataDir, ...until, ...args]);
  expect(code, stderr).toBe(0);
}

async function filled(name: string): Promise<string> {
  const dataDir = join(folder, name);
  await produce(dataDir);
  return dataDir;
}

/** About 55 steps of text. */
function produce(dataDir: string): Promise<void> {
  const texts = Array.from({ length: 120 }, (_, index) => `document ${index} of the mill, ${index * 7919}. `.repeat(7));
  return fillTopic(dataDir, 'text', texts);
}

/** Steps at which a job was handed over, by its events. */
function cutsIn({ lines }: Millrace): number[] {
  const cuts = lines.filter((line) => line.includes('"reason":"deploy"'));
  return cuts.map((line) => z.object({ step: z.number() }).parse(JSON.parse(line)).step);
}

async function historyOf(dataDir: string): Promise<string[]> {
  const { stdout } = await command('graphs', dataDir, '--json');
  const versions = stdout
    .trim()
    .split('\n')
    .map((line) => historySchema.parse(JSON.parse(line)));
  return versions.map(({ how, outcome }) => `${how} ${outcome}`);
}

async function savedIn(dataDir: string, id: string): Promise<{ step: number }> {
  const { stdout } = await command('savepoint', dataDir, 'list', '--json');
  const saved = stdout
    .trim()
    .split('\n')
    .map((line) => z.object({ id: z.string(), step: z.number() }).parse(JSON.parse(line)));
  return saved.find((each) => each.id === id) ?? { step: -1 };
}
