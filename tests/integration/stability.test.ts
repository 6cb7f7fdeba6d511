import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { childrenOf } from '../support/child-of.ts';
import { countingMetricsOf, fillTopic } from '../support/embedded-topics.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import type { Finished } from '../support/millrace.ts';

const GRAPH = jobGraph({
  name: 'stability',
  model: 'learningRate: 0.002',
  ingest: 'window: 8KB',
  batch: '',
  checkpointEvery: '1s',
  // What a busy machine takes for a step, or leaves waiting, is chance.
  also: 'deploy: { bars: { tokensPerSecond: 0, lag: 1000000 } }',
});
const SLOWER = GRAPH.replace('0.002', '0.001');
const TALLER = GRAPH.replace('batch: {}', 'batch: { rows: 16 }');
/** Learns nothing any more, and forgets what it knew. */
const WORSE = GRAPH.replace('0.002', '0.1');

const historySchema = z.object({ how: z.string(), outcome: z.string(), note: z.string().nullable() });
const comparisonSchema = z.object({
  verdict: z.string(),
  running: z.object({ steps: z.number(), bitsPerByte: z.number() }),
  candidate: z.object({ steps: z.number(), bitsPerByte: z.number(), deadLetters: z.number() }),
});

let folder: string;
let feeder: Feeder | null;

beforeEach(async () => {
  feeder = null;
  folder = await mkdtemp(join(tmpdir(), 'millrace-stability-'));
  const graphs = { graph: GRAPH, slower: SLOWER, taller: TALLER, worse: WORSE };
  await Promise.all(Object.entries(graphs).map(([name, text]) => writeFile(join(folder, `${name}.yaml`), text)));
});

afterEach(async () => {
  await feeder?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('tries graphs beside the running one, and goes back from those that do worse or die, with the curve of a job without them', async () => {
  const live = join(folder, 'live');
  const feeding = new Feeder(live);
  feeder = feeding;
  const job = new Millrace(['up', join(folder, 'graph.yaml'), '--data-dir', live, '--json']);
  await job.line((line) => line.includes('"step":5,'));

  // Beside the running one: nobody can be asked here, so it is only told.
  const told = await deploy(live, 'taller', '--shadow', '12', '--json');
  expect(told.code, told.stderr).toBe(2);
  const comparison = comparisonSchema.parse(JSON.parse(told.stdout.split('\n').at(-1) ?? ''));
  expect(comparison.running.steps).toBe(12);
  // Batches that waited at the cut, which may be all of them, and those of twice the rows.
  expect(comparison.candidate.steps).toBeLessThanOrEqual(12);
  expect(comparison.candidate.deadLetters).toBe(0);
  expect(await historyOf(live)).toEqual(['up live']);

  // Under watch: gone back from one that forgets, and from one whose trainer dies.
  const bad = await deploy(live, 'worse', '--yes', '--watch', '10m');
  expect(bad.code, bad.stdout + bad.stderr).toBe(1);
  expect(bad.stdout).toContain('Gone back to the graph before:');
  const dying = new Millrace(['deploy', join(folder, 'slower.yaml'), '--data-dir', live, '--yes', '--watch', '10m']);
  await dying.line((line) => line.includes('Watching it.'));
  expect((await deploy(live, 'taller', '--yes')).stderr).toContain('being watched');
  const trainers = childrenOf(job.process.pid, 'trainer-main');
  expect(trainers).not.toEqual([]);
  for (const trainer of trainers) process.kill(trainer, 'SIGKILL');
  const died = await dying.finished;
  expect(died.code, died.stderr).toBe(1);
  expect(died.stdout).toContain('had to be started again');

  // One that does as well stays.
  const good = await deploy(live, 'slower', '--yes', '--watch', '1s', '--bar', 'bitsPerByte=100');
  expect(good.code, good.stderr).toBe(0);
  expect(good.stdout).toContain('Version 6 stays live.');
  const last = stepOf(job.lines.findLast((line) => line.includes('"event":"step"')) ?? '') + 5;
  await job.line((line) => line.includes(`"step":${last},`));
  job.kill('SIGINT');
  const { code, stderr } = await job.finished;
  expect(code, stderr).toBe(0);
  const rolledBack = ['deploy rolled-back', 'rollback live'];
  expect(await historyOf(live)).toEqual(['up live', ...rolledBack, ...rolledBack, 'deploy live']);

  const steps = await countingMetricsOf(live);
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1));
  const cuts = job.lines.filter((line) => line.includes('"reason":"deploy"'));
  const calm = join(folder, 'calm');
  await produce(calm, await feeding.stop());
  await run(calm, 'graph', stepOf(cuts.at(-1) ?? ''));
  await run(calm, 'slower', steps.length);
  expect(await countingMetricsOf(calm)).toEqual(steps);
});

function deploy(dataDir: string, graph: string, ...args: string[]): Promise<Finished> {
  return millrace(['deploy', join(folder, `${graph}.yaml`), '--data-dir', dataDir, ...args]);
}

async function run(dataDir: string, graph: string, maxSteps: number): Promise<void> {
  const args = ['up', join(folder, `${graph}.yaml`), '--data-dir', dataDir, '--max-steps', String(maxSteps)];
  const { code, stderr } = await millrace(args);
  expect(code, stderr).toBe(0);
}

/** Produces a little text again and again, so that there is always some to train, however quick the machine. */
class Feeder {
  #isStopped = false;
  readonly #fed: Promise<number>;

  constructor(dataDir: string) {
    this.#fed = this.#feed(dataDir);
  }

  /** Resolves with how often it has. */
  stop(): Promise<number> {
    this.#isStopped = true;
    return this.#fed;
  }

  async #feed(dataDir: string): Promise<number> {
    let batches = 0;
    for (; !this.#isStopped; batches++) {
      await produce(dataDir);
      await sleep(400);
    }
    return batches;
  }
}

/** About 5 steps of text for each time. */
function produce(dataDir: string, times = 1): Promise<void> {
  const texts = Array.from({ length: 11 }, (_, index) => `document ${index} of the mill, ${index * 7919}. `.repeat(7));
  return fillTopic(dataDir, 'text', Array.from({ length: times }, () => texts).flat());
}

function stepOf(line: string): number {
  return z.object({ step: z.number() }).parse(JSON.parse(line)).step;
}

async function historyOf(dataDir: string): Promise<string[]> {
  const { stdout } = await millrace(['graphs', '--json', '--data-dir', dataDir]);
  const versions = stdout
    .trim()
    .split('\n')
    .map((line) => historySchema.parse(JSON.parse(line)));
  return versions.map(({ how, outcome }) => `${how} ${outcome}`);
}
