import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { countingMetricsOf, fillTopic } from '../support/embedded-topics.ts';
import type { MetricsStep } from '../support/embedded-topics.ts';
import { jobGraph } from '../support/job-graph.ts';
import { Millrace, millrace } from '../support/millrace.ts';
import { printedSeed, randomFrom } from '../support/random.ts';

/** `MILLRACE_SOAK=1` asks for as many as an afternoon has. */
const KILLS = process.env['MILLRACE_SOAK'] ? 30 : 3;
/** The last of them does so badly that a watch goes back from it. */
const RATES = [0.002, 0.001, 0.1] as const;
/** So many steps of a process must be done for a watch to know what was before. */
const STEPS_BEFORE = 25;
/** In turn: which graph is deployed, and for how long it is watched, over as many processes as that takes. */
const DEPLOYMENTS = [
  { rate: 1, watch: null },
  { rate: 2, watch: '3s' },
  { rate: 0, watch: '1s' },
  { rate: 1, watch: '3s' },
  { rate: 2, watch: '3s' },
  { rate: 0, watch: null },
] as const;
const WARMUP_TOKENS = 10_000;

const graphOf = (learningRate: number): string =>
  jobGraph({
    name: 'deploy-kill',
    model: `learningRate: ${learningRate}`,
    ingest: 'window: 8KB',
    batch: '',
    also: 'deploy: { bars: { tokensPerSecond: 0, lag: 1000000 } }',
  });

let folder: string;
let graphs: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-deploy-kill-'));
  graphs = RATES.map((rate) => join(folder, `${rate}.yaml`));
  await Promise.all(RATES.map((rate, index) => writeFile(graphs[index] ?? '', graphOf(rate))));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test(
  `SIGKILL at ${KILLS} random moments of deployments, watches and returns leaves the curve of a job that was stopped for each`,
  async () => {
    const seed = printedSeed('chaos/deploy-kill');
    const killed = join(folder, 'killed');
    const [texts, chance] = [randomFrom(seed), randomFrom(seed + 1)];
    await produce(killed, texts);
    let argument = graphs.slice(0, 1);
    for (let kill = 0; kill < KILLS; kill++) {
      const job = new Millrace(['up', ...argument, '--data-dir', killed, '--json']);
      // From here on the job says itself which graph is its.
      argument = [];
      await nthStep(job, STEPS_BEFORE);
      const { rate = 0, watch = null } = DEPLOYMENTS[kill % DEPLOYMENTS.length] ?? {};
      const target = graphs[rate] ?? '';
      // Another decoder is built anew, and begins at once; another rate alone is told.
      const maxBytes = chance() < 0.5 ? 1 : kill + 2;
      await writeFile(target, graphOf(RATES[rate] ?? 0).replace('maxBytes: 1MB', `maxBytes: ${maxBytes}MB`));
      const flags = ['--yes', '--json', '--data-dir', killed, ...(watch ? ['--watch', watch] : [])];
      const deployment = new Millrace(['deploy', target, ...flags]);
      await Promise.race([deployment.line((line) => line.includes('planned')), deployment.finished]).catch(() => {});
      await sleep(chance() * (watch ? 4000 : 1500));
      job.kill('SIGKILL');
      await Promise.all([job.finished, deployment.finished]);
      await produce(killed, texts);
    }
    const last = await millrace(['up', '--data-dir', killed, '--until-idle', '3s']);
    expect(last.code, last.stderr).toBe(0);

    const steps = await countingMetricsOf(killed);
    expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1));
    const { stdout } = await millrace(['graphs', '--json', '--data-dir', killed]);
    expect(stdout).not.toContain('"pending"');
    console.log(`chaos/deploy-kill: ${outcomesIn(stdout)}`);

    const calm = join(folder, 'calm');
    const again = randomFrom(seed);
    for (let batch = 0; batch <= KILLS; batch++) await produce(calm, again);
    for (const [rate, until] of stretchesOf(steps)) {
      const graph = graphs[RATES.findIndex((each) => each === rate)] ?? '';
      const { code, stderr } = await millrace(['up', graph, '--data-dir', calm, '--max-steps', String(until)]);
      expect(code, stderr).toBe(0);
    }
    expect(await countingMetricsOf(calm)).toEqual(steps);
  },
  KILLS * 120_000,
);

/** Resolves when a process has done so many steps. */
async function nthStep(job: Millrace, count: number): Promise<void> {
  let seen = 0;
  await job.line((line) => {
    if (line.includes('"event":"step"')) seen += 1;
    return seen >= count;
  });
}

/** Such as `3 live, 1 rolled-back`. */
function outcomesIn(history: string): string {
  const counts = new Map<string, number>();
  for (const line of history.trim().split('\n')) {
    const { outcome } = z.object({ outcome: z.string() }).parse(JSON.parse(line));
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return [...counts].map(([outcome, times]) => `${times} ${outcome}`).join(', ');
}

/** The learning rates in turn, each with its last step. */
function stretchesOf(steps: readonly MetricsStep[]): readonly (readonly [rate: number, until: number])[] {
  const rates = steps.map(({ lr, totals }) => {
    const peak = lr / Math.min(1, totals.tokens / WARMUP_TOKENS);
    return RATES.find((rate) => Math.abs(rate - peak) < 1e-6) ?? NaN;
  });
  expect(rates).not.toContain(NaN);
  return rates.flatMap((rate, index) => (rate === rates[index + 1] ? [] : [[rate, index + 1] as const]));
}

function produce(dataDir: string, random: () => number): Promise<void> {
  const texts = Array.from({ length: 300 }, () => `${random().toString(36)} and ${random().toString(36)}. `.repeat(6));
  return fillTopic(dataDir, 'text', texts);
}
