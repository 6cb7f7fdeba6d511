import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { z } from 'zod';
import type { PresetName } from '../../model/presets.ts';
import { decimal, integer } from '../../pipelines/commands/options.ts';
import { count, table } from '../../pipelines/terminal/format.ts';
import { load } from '../support/load.ts';
import type { LoadResult } from '../support/load.ts';
import { Millrace } from '../support/millrace.ts';
import { warnUnlessQuiet } from './quiet.ts';
import { printRows, progress, quantile } from './report.ts';
import type { Figure } from './report.ts';

interface LoadBenchOptions {
  readonly preset: PresetName;
  readonly requests: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly share: number;
  readonly json?: true;
}

/** Ours have it behind the bytes. */
const END_OF_TEXT = 256;
const WARM_UP_MS = 10_000;

const eventSchema = z.looseObject({ event: z.string() });
const listeningSchema = z.looseObject({ url: z.string(), model: z.string() });
const stepSchema = z.looseObject({ event: z.literal('step'), tokens: z.number() });

/** `bench load`: a job that trains and is asked by many at once. */
export function loadBench(): Command {
  return new Command('load')
    .description(
      'Ask a job that trains, over HTTP, many at once: latency of answers, and what training keeps of its rate.',
    )
    .addOption(new Option('--preset <name>', "the model's size").choices(['nano', 'small', 'base']).default('small'))
    .option('--requests <n>', 'under way at once', integer(1, 64), 64)
    .option('--tokens <n>', 'of each answer', integer(1), 32)
    .option(
      '--seconds <n>',
      'of load; training alone is timed before and behind, for half as long each',
      integer(2),
      60,
    )
    .option('--share <s>', "the sampler's share (sampler.share in the graph)", decimal(0.01, 1), 1)
    .option('--json', 'print rows as JSON, one a line')
    .action(loadTraining);
}

async function loadTraining(options: LoadBenchOptions): Promise<void> {
  const { preset, requests, share, json } = options;
  await warnUnlessQuiet();
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const graph = join(dataDir, 'graph.yaml');
  await writeFile(graph, graphOf(preset, share));
  const run = new Millrace(['up', graph, '--data-dir', dataDir, '--json', '--http', '0']);
  try {
    const figures = await measure(run, options);
    const setting = { bench: 'load', preset, slots: requests, share };
    if (json) printRows(setting, figures);
    else print(figures, options);
  } finally {
    run.kill('SIGINT');
    await run.finished;
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function measure(run: Millrace, options: LoadBenchOptions): Promise<readonly Figure[]> {
  const { requests, tokens, seconds } = options;
  progress('starting a job on the State of the Union addresses');
  const place = listeningSchema.parse(JSON.parse(await run.line((line) => isEvent(line, 'listening'))));
  await run.line((line) => isEvent(line, 'checkpoint'));
  const ask = (ms: number): Promise<LoadResult> => {
    const endMs = performance.now() + ms;
    const goesOn = (): boolean => performance.now() < endMs;
    return load({ ...place, atOnce: requests, tokens, endOfText: END_OF_TEXT, goesOn });
  };
  progress('warming up');
  await ask(WARM_UP_MS);
  const before = await trainingRate(run, () => sleep(500 * seconds));
  progress(`${requests} requests at once for ${seconds} s`);
  const loads: LoadResult[] = [];
  const loadMs = { start: performance.now(), end: 0 };
  const loaded = await trainingRate(run, async () => {
    loads.push(await ask(1000 * seconds));
    loadMs.end = performance.now();
  });
  const behind = await trainingRate(run, () => sleep(500 * seconds));
  const alone = (before + behind) / 2;
  const answers = loads.flatMap((each) => each.answers);
  const failures = loads.flatMap((each) => each.failures);
  for (const failure of failures.slice(0, 5)) progress(`FAILED: ${failure}`);
  const doubled = answers.length - new Set(answers.map(({ id }) => id)).size;
  const firstMs = answers.map((each) => each.firstMs);
  const betweenMs = answers.flatMap((each) => each.betweenMs);
  const answerRate = (1000 * answers.length * tokens) / (loadMs.end - loadMs.start);
  const training = { case: 'training', unit: 'tokens/s' };
  const answering = { case: 'answering', unit: 'ms' };
  return [
    { ...training, metric: 'tokensPerSecondAlone', value: alone },
    { ...training, metric: 'tokensPerSecondLoaded', value: loaded },
    { ...training, metric: 'rateKept', value: loaded / alone, unit: 'fraction' },
    { ...answering, metric: 'answers', value: answers.length, unit: 'answers' },
    { ...answering, metric: 'failed', value: failures.length, unit: 'answers' },
    { ...answering, metric: 'doubled', value: doubled, unit: 'answers' },
    { ...answering, metric: 'tokensPerSecond', value: answerRate, unit: 'tokens/s' },
    { ...answering, metric: 'firstTokenP50', value: quantile(firstMs, 0.5) },
    { ...answering, metric: 'firstTokenP99', value: quantile(firstMs, 0.99) },
    { ...answering, metric: 'tokenP50', value: quantile(betweenMs, 0.5) },
    { ...answering, metric: 'tokenP99', value: quantile(betweenMs, 0.99) },
  ];
}

/** Tokens that the job trains a second meanwhile. */
async function trainingRate(run: Millrace, meanwhile: () => Promise<unknown>): Promise<number> {
  const [first, startMs] = [run.lines.length, performance.now()];
  await meanwhile();
  const seconds = (performance.now() - startMs) / 1000;
  const steps = run.lines.slice(first).filter((line) => isEvent(line, 'step'));
  return steps.reduce((sum, line) => sum + stepSchema.parse(JSON.parse(line)).tokens, 0) / seconds;
}

function isEvent(line: string, name: string): boolean {
  return line.startsWith('{') && eventSchema.parse(JSON.parse(line)).event === name;
}

function graphOf(preset: PresetName, share: number): string {
  return `
name: load
model: { preset: ${preset} }
sampler: { share: ${share} }
topics: { text: {} }
feed: { dataset: sotu, topic: text }
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: {} }
    - { uid: train, trainStep: {} }
    - { uid: checkpoint, checkpoint: { every: 30s } }
`;
}

function print(figures: readonly Figure[], { preset, requests, share }: LoadBenchOptions): void {
  console.log(`Training asked by ${requests} at once, preset ${preset}, sampler.share ${share}\n`);
  const cells = figures.map(({ case: name, metric, value, unit }) => [
    `${name} ${metric}`,
    unit === 'fraction'
      ? `${(100 * value).toFixed(1)} %`
      : `${unit === 'ms' ? value.toFixed(1) : count(value)} ${unit}`,
  ]);
  console.log(table(null, cells));
}
