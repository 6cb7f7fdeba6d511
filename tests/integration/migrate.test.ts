import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { fillTopic, metricsOf } from '../support/embedded-topics.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';

const GRAPH = jobGraph({ name: 'migrate', model: 'engine: eager', ingest: 'window: 8KB', batch: '' });
const LARGER = GRAPH.replace('preset: nano', 'preset: nano, layers: 5, hiddenSize: 160, intermediateSize: 400');
const WORDS = LARGER.replace('kind: bytes', 'kind: bpe, sample: 64KB');

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-migrate-'));
  const graphs = { small: GRAPH, larger: LARGER, words: WORDS };
  await Promise.all(Object.entries(graphs).map(([name, text]) => writeFile(file(name), text)));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function file(name: string): string {
  return join(folder, `${name}.yaml`);
}

test('a running job grows its model at one cut, where its loss stays; stopped, it takes another vocabulary; no byte is lost', async () => {
  const dataDir = join(folder, 'grown');
  await produce(dataDir);
  const at = ['--data-dir', dataDir];
  const job = new Millrace(['up', file('small'), ...at, '--json']);
  await job.line((line) => line.includes('"step":12,'));
  const deployed = await millrace(['deploy', file('larger'), '--yes', ...at]);
  expect(deployed.code, deployed.stderr).toBe(0);
  expect(deployed.stdout).toMatch(/train +trainStep +migrated +grown: layers 4 → 5, hiddenSize 128 → 160/);
  const [cut = 0] = job.lines.flatMap((line) => (line.includes('"reason":"deploy"') ? [stepIn(line)] : []));
  await job.line((line) => line.includes(`"step":${cut + 10},`));
  const online = await millrace(['deploy', file('words'), '--yes', ...at]);
  expect(online.stderr).toContain("A job that runs can't change tokenizer");
  job.kill('SIGINT');
  expect((await job.finished).code).toBe(0);
  const reached = Math.max(...job.lines.filter((line) => line.includes('"event":"step"')).map(stepIn));

  const words = await millrace(['up', file('words'), ...at, '--max-steps', String(reached + 10)]);
  expect(words.code, words.stderr).toBe(0);
  expect(words.stdout).toMatch(/pack +batch +migrated +spelled in the new vocabulary/);
  const on = await millrace(['up', ...at, '--max-steps', String(reached + 20)]);
  expect(on.code, on.stderr).toBe(0);

  const steps = await metricsOf(dataDir);
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1));
  expect(steps.every(({ loss, skipped }) => Number.isFinite(loss) && !skipped)).toBe(true);
  const mean = (from: number, to: number): number =>
    steps.slice(from, to).reduce((sum, { loss }) => sum + loss, 0) / (to - from);
  expect(mean(cut, cut + 10)).toBeLessThan(mean(0, 8));
  // Records follow one another across both migrations; a long one goes on in the next step.
  const spans = steps.flatMap((step) => step.spans);
  const gaps = spans.slice(1).map(({ from }, index) => from - (spans[index]?.to ?? 0));
  expect(gaps.filter((gap) => gap !== 0 && gap !== -1)).toEqual([]);

  // The exam of the first step of the larger model is that of the small one on the same batch.
  const stayed = join(folder, 'stayed');
  await produce(stayed);
  expect((await millrace(['up', file('small'), '--data-dir', stayed, '--max-steps', String(cut + 1)])).code).toBe(0);
  const small = await metricsOf(stayed);
  expect(small.slice(0, cut)).toEqual(steps.slice(0, cut));
  expect(Math.abs((small[cut]?.loss ?? NaN) - (steps[cut]?.loss ?? NaN))).toBeLessThan(1e-3);
});

function stepIn(line: string): number {
  return z.object({ step: z.number() }).parse(JSON.parse(line)).step;
}

/** About 180 steps of bytes. */
function produce(dataDir: string): Promise<void> {
  const texts = Array.from({ length: 300 }, (_, index) => `document ${index} of the mill, ${index * 7919}. `.repeat(9));
  return fillTopic(dataDir, 'text', texts);
}
