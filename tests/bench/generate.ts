import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { initialWeights } from '../../model/init.ts';
import { presets } from '../../model/presets.ts';
import type { PresetName } from '../../model/presets.ts';
import { integer } from '../../pipelines/commands/options.ts';
import { warnUnlessQuiet } from './quiet.ts';
import { median, printRows, progress } from './report.ts';
import type { Figure } from './report.ts';
import { startMillraceSpeaker, startTransformers, writeModel } from './speakers.ts';
import type { Speaker, SpokenModel } from './speakers.ts';

interface GenerateOptions {
  readonly preset: PresetName;
  readonly slots: readonly number[];
  readonly prompt: number;
  readonly tokens: number;
  readonly rounds: number;
  readonly threads: number;
  readonly torch?: true;
  readonly json?: true;
}

interface Result {
  readonly slots: number;
  readonly figures: readonly Figure[];
}

const SEED = 1;
/** Weights so small say the same whatever comes; larger ones make an answer depend on its prompt. */
const SPREAD = 0.08;

/** `bench generate`: how fast prompts are read and answered, beside Hugging Face transformers. */
export function generateBench(): Command {
  return new Command('generate')
    .description('Time the sampler: tokens per second for several prompts at once, reading and answering.')
    .addOption(new Option('--preset <name>', "the model's size").choices(['nano', 'small', 'base']).default('small'))
    .option('--slots <list>', 'prompts answered at once, for instance 1,8,32', counts, [1, 8, 32])
    .option('--prompt <n>', 'tokens of a prompt', integer(1), 32)
    .option('--tokens <n>', 'tokens of an answer', integer(2), 64)
    .option('--rounds <n>', 'turns that each case gets', integer(1), 5)
    .option('--threads <n>', "the sampler's threads; a job gives it one", integer(1), availableParallelism())
    .option('--torch', 'also transformers, in a virtual environment of its own (made once: 3 GB to download)')
    .option('--json', 'print rows as JSON, one a line')
    .action(generate);
}

function counts(text: string): readonly number[] {
  const numbers = text.split(',').map(Number);
  if (numbers.every((number) => Number.isInteger(number) && number > 0)) return numbers;
  throw new InvalidArgumentError('It takes counts with commas between them, for instance 1,8,32.');
}

async function generate(options: GenerateOptions): Promise<void> {
  const { preset, slots, rounds } = options;
  const { model } = presets[preset];
  await warnUnlessQuiet();
  const scratch = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const speakers: Speaker[] = [];
  try {
    const written = writeModel(scratch, model, initialWeights({ ...model, initializerRange: SPREAD }, SEED));
    for (const start of contestants(options, written)) speakers.push(await start());
    const results: Result[] = [];
    for (const count of slots) results.push({ slots: count, figures: await compare(speakers, count, rounds, options) });
    if (!options.json) printTable(results);
    else for (const { figures, ...setting } of results) printRows({ bench: 'generate', preset, ...setting }, figures);
  } finally {
    for (const speaker of speakers) await speaker.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

function contestants({ torch, threads }: GenerateOptions, model: SpokenModel): readonly (() => Promise<Speaker>)[] {
  const ours = (['f32', 'bf16'] as const).map((precision) => {
    const name = `millrace-${precision}`;
    return () => startMillraceSpeaker(name, model, precision, threads);
  });
  const theirs = (['dynamic', 'static'] as const).map((cache) => {
    return () => startTransformers(`torch-${cache}`, model, cache);
  });
  return [...ours, ...(torch ? theirs : [])];
}

/** All contestants in turn, on prompts that are new in each round and the same for all. */
async function compare(
  speakers: readonly Speaker[],
  count: number,
  rounds: number,
  { preset, prompt, tokens }: GenerateOptions,
): Promise<readonly Figure[]> {
  const { vocabSize } = presets[preset].model;
  const times = speakers.map(() => ({ prefill: [] as number[], decode: [] as number[] }));
  // The first round compiles and warms up.
  for (let round = 0; round <= rounds; round++) {
    const prompts = Array.from({ length: count }, (_, row) =>
      Int32Array.from({ length: prompt }, (_, at) => (7 * at + 131 * row + 1009 * round) % vocabSize),
    );
    const said: (readonly (readonly number[])[])[] = [];
    for (const [at, speaker] of speakers.entries()) {
      const spoken = await speaker.speak(prompts, tokens);
      said.push(spoken.tokens);
      if (round === 0) continue;
      times[at]?.prefill.push(spoken.prefillMs);
      times[at]?.decode.push(spoken.totalMs - spoken.prefillMs);
    }
    if (round === 0) tellAgreement(speakers, said, count);
  }
  return speakers.flatMap(({ name }, at) => {
    const of = { case: name, unit: 'tokens/s' };
    return [
      { ...of, metric: 'prefillTokensPerSecond', value: rate(count * prompt, times[at]?.prefill ?? []) },
      { ...of, metric: 'tokensPerSecond', value: rate(count * (tokens - 1), times[at]?.decode ?? []) },
    ];
  });
}

/** Tokens a second. */
function rate(tokens: number, ms: readonly number[]): number {
  return (1000 * tokens) / median(ms);
}

/** Says how many answers are the first contestant's, so that one can see that the same work is compared. */
function tellAgreement(
  speakers: readonly Speaker[],
  said: readonly (readonly (readonly number[])[])[],
  count: number,
): void {
  const reference = said[0]?.map((answer) => answer.join(' ')) ?? [];
  for (const [at, { name }] of speakers.entries()) {
    const same = (said[at] ?? []).filter((answer, row) => answer.join(' ') === reference[row]).length;
    if (at > 0) progress(`${count} slots: ${name} gives ${same} of ${count} answers as ${speakers[0]?.name} does`);
  }
}

function printTable(results: readonly Result[]): void {
  for (const metric of ['tokensPerSecond', 'prefillTokensPerSecond']) {
    const rows = results.map(({ slots, figures }) => ({ slots, figures: figures.filter((f) => f.metric === metric) }));
    console.log(`\n${metric === 'tokensPerSecond' ? 'Answering' : 'Reading'}, tokens/s`);
    console.log(`slots ${rows[0]?.figures.map((figure) => figure.case.padStart(16)).join('')}`);
    for (const { slots, figures } of rows) {
      const cells = figures.map(({ value }) => Math.round(value).toLocaleString('en').padStart(16));
      console.log(`${String(slots).padEnd(6)}${cells.join('')}`);
    }
  }
}
