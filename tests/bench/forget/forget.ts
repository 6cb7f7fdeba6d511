import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { openEmbeddedLog, startTrainer } from '../../../infra/index.ts';
import { presets } from '../../../model/presets.ts';
import { Random } from '../../../model/random.ts';
import { trainTokenizer } from '../../../model/tokenizer/tokenizer-file.ts';
import { createTokenizer } from '../../../model/tokenizer/tokenizer.ts';
import type { TokenBatch, Tokenizer, TopicLog } from '../../../operators/index.ts';
import { byteSizeSchema, toBytes } from '../../../operators/units.ts';
import { integer } from '../../../pipelines/commands/options.ts';
import { suitableEngine } from '../../../pipelines/job/suitable-engine.ts';
import { table } from '../../../pipelines/terminal/format.ts';
import { printRows, progress } from '../report.ts';
import type { Figure } from '../report.ts';
import { jobShape, shapeOf, shapeOptions } from '../shapes.ts';
import type { Shape, ShapeOptions } from '../shapes.ts';
import { examOf, examine, learn } from './learn.ts';
import type { Grade } from './learn.ts';
import { addresses, readmes } from './texts.ts';
import type { Domain } from './texts.ts';

interface ForgetOptions extends ShapeOptions {
  readonly bytes: string;
  readonly shares: readonly number[];
  readonly seed: number;
  readonly json?: true;
}

/** A way to learn the two domains. */
interface Course {
  readonly name: string;
  readonly passages: readonly string[];
  readonly share: number;
}

interface Result {
  readonly name: string;
  readonly first: Grade;
  readonly second: Grade;
  readonly steps: number;
}

const STEPS_PER_LINE = 200;
const SHUFFLED = 'shuffled';

/** `bench forget`: what is left of one kind of text after another was trained on. */
export function forgetBench(): Command {
  const command = new Command('forget')
    .description('Train on old addresses, then on READMEs, with and without replay; compare with both shuffled.')
    .option('--bytes <size>', 'text of each of the two kinds', '1MB')
    .option('--shares <list>', 'shares of rows that are replayed', shares, [0, 0.05, 0.25])
    .option('--seed <n>', 'of the weights and of the shuffling', integer(0), 1)
    .option('--json', 'print rows as JSON, one a line');
  for (const option of shapeOptions())
    command.addOption(option.attributeName() === 'preset' ? option.default('nano') : option);
  return command.action(forget);
}

function shares(text: string): readonly number[] {
  return text.split(',').map(Number);
}

async function forget(options: ForgetOptions): Promise<void> {
  const { preset, seed, json } = options;
  const shape = shapeOf(options, jobShape(preset));
  const bytes = toBytes(byteSizeSchema.parse(options.bytes));
  const [first, second] = [await addresses(bytes), await readmes(bytes)];
  const { vocabSize } = presets[preset].model;
  const sample = [first, second].map(({ passages }) => passages.join('\n'));
  const tokenizer = createTokenizer(trainTokenizer(sample, vocabSize));
  const inOrder = [...first.passages, ...second.passages];
  const mixed = shuffled(inOrder, seed);
  const most = Math.max(...options.shares);
  const courses: readonly Course[] = [
    ...options.shares.map((share) => ({ name: `replay ${100 * share} %`, passages: inOrder, share })),
    { name: SHUFFLED, passages: mixed, share: 0 },
    // As many steps as the longest of the others.
    ...(most > 0 ? [{ name: `${SHUFFLED}, replay ${100 * most} %`, passages: mixed, share: most }] : []),
  ];
  const exams = await Promise.all([first, second].map(({ heldOut }) => examOf(heldOut, tokenizer, shape)));
  const scratch = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const log = await openEmbeddedLog(join(scratch, 'log'));
  const results: Result[] = [];
  try {
    for (const course of courses) {
      results.push(await take(course, { preset, seed, shape, tokenizer, exams, log, scratch }));
    }
  } finally {
    await log.close();
    await rm(scratch, { recursive: true, force: true });
  }
  if (json) printRows({ bench: 'forget', preset, ...shape }, results.flatMap(figuresOf));
  else print(results, [first, second]);
}

interface School extends Pick<ForgetOptions, 'preset' | 'seed'> {
  readonly shape: Shape;
  readonly tokenizer: Tokenizer;
  /** Of the first domain, and of the second. */
  readonly exams: readonly (readonly TokenBatch[])[];
  readonly log: TopicLog;
  readonly scratch: string;
}

async function take({ name, passages, share }: Course, school: School): Promise<Result> {
  const { preset, seed, shape, tokenizer, exams, log, scratch } = school;
  const { model, optimizer, schedule } = presets[preset];
  const settings = {
    model: { ...model, vocabSize: tokenizer.vocabSize },
    seed,
    optimizer,
    schedule,
    accumulate: 1,
    engine: suitableEngine(preset),
  };
  const topic = name.replaceAll(/[^\w.]+/g, '-');
  await log.createTopic(topic);
  await log.produce(
    topic,
    passages.map((value) => ({ value })),
  );
  const trainer = await startTrainer({
    settings,
    stagingDir: join(scratch, 'staging'),
    logger: { info: progress, warn: progress },
  });
  try {
    let steps = 0;
    const onStep = (): void => {
      steps += 1;
      if (steps % STEPS_PER_LINE === 0) progress(`${name}: ${steps} steps`);
    };
    await learn({ log, topic, tokenizer, trainer, shape, share, onStep });
    const [first = [], second = []] = exams;
    return { name, steps, first: await examine(trainer, first), second: await examine(trainer, second) };
  } finally {
    await trainer.close();
  }
}

function shuffled(passages: readonly string[], seed: number): readonly string[] {
  const random = new Random(seed);
  return passages
    .map((passage) => ({ passage, place: random.uniform() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ passage }) => passage);
}

function figuresOf({ name, first, second, steps }: Result): readonly Figure[] {
  return [
    { case: name, metric: 'heldOutFirst', value: first.nats, unit: 'nats/token' },
    { case: name, metric: 'heldOutSecond', value: second.nats, unit: 'nats/token' },
    { case: name, metric: 'bitsPerByteFirst', value: first.bitsPerByte, unit: 'bits/byte' },
    { case: name, metric: 'bitsPerByteSecond', value: second.bitsPerByte, unit: 'bits/byte' },
    { case: name, metric: 'steps', value: steps, unit: 'steps' },
  ];
}

function print(results: readonly Result[], domains: readonly Domain[]): void {
  const [none, mixed] = [results[0], results.find(({ name }) => name === SHUFFLED)];
  if (!none || !mixed) return;
  const gap = none.first.nats - mixed.first.nats;
  const rows = results.map(({ name, first, second, steps }) => [
    name,
    first.nats.toFixed(4),
    second.nats.toFixed(4),
    first.bitsPerByte.toFixed(3),
    second.bitsPerByte.toFixed(3),
    `${((100 * (none.first.nats - first.nats)) / gap).toFixed(0)} %`,
    (second.nats - none.second.nats).toFixed(4),
    String(steps),
  ]);
  const sizes = domains.map(({ name, passages, heldOut }) => `${name} (${size(passages)}, held out ${size(heldOut)})`);
  console.log(`First ${sizes.join(', then ')}. Held-out loss afterwards:\n`);
  const titles = ['', 'first', 'second', 'bits/byte', 'bits/byte', 'of the gap', 'cost', 'steps'];
  console.log(table(titles, rows));
  console.log('In nats per token. The gap is what shuffling the two gains on the first; the cost is on the second.');
}

function size(texts: readonly string[]): string {
  return `${(Buffer.byteLength(texts.join('')) / 1e6).toFixed(2)} MB`;
}
