import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { z } from 'zod';
import { askControl } from '../../infra/index.ts';
import type { PresetName } from '../../model/presets.ts';
import { integer } from '../../pipelines/commands/options.ts';
import { graphDocument } from '../../pipelines/spec/graph.ts';
import { table } from '../../pipelines/terminal/format.ts';
import { fillTopic } from '../support/embedded-topics.ts';
import { graphOf } from '../support/graphs.ts';
import { Millrace } from '../support/millrace.ts';
import { randomFrom } from '../support/random.ts';
import { randomTexts } from '../support/random-texts.ts';
import { warnUnlessQuiet } from './quiet.ts';
import { printRows, progress } from './report.ts';
import type { Figure } from './report.ts';

interface RedeployOptions {
  readonly preset: PresetName;
  readonly deployments: number;
  readonly cases: readonly string[];
  readonly json?: true;
}

/** What changes between two graphs, by the name of the case. */
const CASES: Readonly<Record<string, readonly [from: string, to: string]>> = {
  told: ['learningRate: 0.001', 'learningRate: 0.002'],
  rebuilt: ['decode: {}', 'decode: { maxBytes: 1MB }'],
  'another-trainer': ['accumulate: 1', 'accumulate: 2'],
};

const WARM_UP_STEPS = 60;
/** Between two deployments. */
const STEPS_BETWEEN = 5;
/** Of text at a time, so that there is always more than the job can train. */
const TEXTS = 4000;

/** `bench redeploy`: how long training pauses where another graph takes over. */
export function redeployBench(): Command {
  return new Command('redeploy')
    .description('Deploy graphs to a job that trains without a break, and time its pauses.')
    .addOption(new Option('--preset <name>', "the model's size").choices(['nano', 'small', 'base']).default('nano'))
    .option('--deployments <n>', 'of each case', integer(1), 50)
    .option('--cases <list>', `of ${Object.keys(CASES).join(', ')}`, cases, ['told', 'rebuilt'])
    .option('--json', 'print rows as JSON, one a line')
    .action(redeploy);
}

function cases(text: string): readonly string[] {
  return text.split(',').filter((name) => name in CASES);
}

async function redeploy({ preset, deployments, cases: names, json }: RedeployOptions): Promise<void> {
  await warnUnlessQuiet();
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const feed = new Feed(dataDir);
  await feed.more();
  const graph = join(dataDir, 'graph.yaml');
  await writeFile(graph, graphText(preset));
  const job = new Millrace(['up', graph, '--data-dir', dataDir, '--json']);
  try {
    const figures: Figure[] = [];
    for (const name of names) figures.push(...(await measure(job, dataDir, feed, { name, preset, deployments })));
    if (json) printRows({ bench: 'redeploy', preset }, figures);
    else print(figures, preset);
  } finally {
    job.kill('SIGINT');
    await job.finished;
    await rm(dataDir, { recursive: true, force: true });
  }
}

function graphText(preset: PresetName): string {
  return `
name: redeploy
model: { preset: ${preset}, accumulate: 1, learningRate: 0.001 }
tokenizer: { kind: bytes }
topics: { text: {}, metrics: {} }
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: {} }
    - { uid: train, trainStep: {} }
    - { uid: metrics, publish: { topic: metrics } }
    - { uid: checkpoint, checkpoint: {} }
`;
}

/** Text for the job, which must never have to wait for it. */
class Feed {
  readonly #dataDir: string;
  readonly #random = randomFrom(1);

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  more(): Promise<void> {
    return fillTopic(this.#dataDir, 'text', randomTexts(this.#random, TEXTS));
  }
}

const stepSchema = z.object({ step: z.number(), lag: z.number() });
const deployedSchema = z.object({ pauseMs: z.number().nullable() });

async function measure(
  job: Millrace,
  dataDir: string,
  feed: Feed,
  { name, preset, deployments }: { readonly name: string; readonly preset: PresetName; readonly deployments: number },
): Promise<readonly Figure[]> {
  const [from, to] = CASES[name] ?? ['', ''];
  const text = graphText(preset);
  const graphs = [text.replace(from, to), text].map((each) => graphDocument(graphOf(each)));
  progress(`${name}: warming up`);
  await stepsLater(job, WARM_UP_STEPS);
  const startMs = performance.now();
  await stepsLater(job, WARM_UP_STEPS);
  const msPerStep = (performance.now() - startMs) / WARM_UP_STEPS;
  const pauses: number[] = [];
  for (let at = 0; at < deployments; at++) {
    const asked = await askControl(dataDir, 'deploy', { graph: graphs[at % 2] ?? null, discard: [], how: 'deploy' });
    const { pauseMs } = deployedSchema.parse(asked?.output);
    if (pauseMs !== null) pauses.push(pauseMs);
    const { lag } = await stepsLater(job, STEPS_BETWEEN);
    if (lag < TEXTS / 2) await feed.more();
  }
  progress(`${name}: ${pauses.length} of ${deployments} deployments met with training under way`);
  const figure = (metric: string, value: number): Figure => ({ case: name, metric, value, unit: 'ms' });
  return [
    figure('msPerStep', msPerStep),
    figure('pauseP50Ms', quantile(pauses, 0.5)),
    figure('pauseP99Ms', quantile(pauses, 0.99)),
    figure('pauseMaxMs', Math.max(...pauses)),
  ];
}

/** Resolves with the step that is so many steps behind the newest one. */
async function stepsLater(job: Millrace, steps: number): Promise<z.output<typeof stepSchema>> {
  const newest = job.lines.findLast((line) => line.startsWith('{"event":"step"'));
  const from = newest === undefined ? 0 : stepSchema.parse(JSON.parse(newest)).step;
  return stepSchema.parse(
    JSON.parse(await job.line((line) => line.startsWith(`{"event":"step","step":${from + steps},`))),
  );
}

/** By the nearest rank. */
function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)] ?? Number.NaN;
}

const TITLES: Readonly<Record<string, string>> = {
  msPerStep: 'a step, undisturbed',
  pauseP50Ms: 'pause, median',
  pauseP99Ms: 'pause, 99 of 100',
  pauseMaxMs: 'pause, longest',
};

function print(figures: readonly Figure[], preset: PresetName): void {
  console.log(`From the last step of one graph to the end of the first step of the next, preset ${preset}\n`);
  const cells = figures.map(({ case: name, metric, value }) => [
    name,
    TITLES[metric] ?? metric,
    `${value.toFixed(1)} ms`,
  ]);
  console.log(table(null, cells));
}
