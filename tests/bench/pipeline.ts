import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { openEmbeddedLog, startTrainer } from '../../infra/index.ts';
import { presets } from '../../model/presets.ts';
import type { PresetName } from '../../model/presets.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import type { StepInput } from '../../model/types.ts';
import { trainTokenizer } from '../../model/tokenizer/tokenizer-file.ts';
import { createTokenizer } from '../../model/tokenizer/tokenizer.ts';
import type { TopicLog } from '../../operators/index.ts';
import { integer } from '../../pipelines/commands/options.ts';
import { sotuRecords } from '../../pipelines/job/feeds/sotu.ts';
import { suitableEngine } from '../../pipelines/job/suitable-engine.ts';
import { count, table } from '../../pipelines/terminal/format.ts';
import { bareRate, pipelineRate } from './feeding.ts';
import type { Feed } from './feeding.ts';
import { warnUnlessQuiet } from './quiet.ts';
import { median, printRows, progress } from './report.ts';
import type { Figure } from './report.ts';
import { jobShape, shapeOf, shapeOptions } from './shapes.ts';
import type { ShapeOptions } from './shapes.ts';

interface PipelineOptions extends ShapeOptions {
  readonly rounds: number;
  readonly json?: true;
}

const TOPIC = 'text';
const TURN_MS = 5000;
/** Of the text; enough for a vocabulary. */
const SAMPLE_CHARACTERS = 2_000_000;

/** `bench pipeline`: what is lost between a topic and the trainer. */
export function pipelineBench(): Command {
  const command = new Command('pipeline')
    .description('Compare a trainer fed from a topic through the whole pipeline with the same trainer fed from memory.')
    .option('--rounds <n>', 'turns of 5 seconds that each way of feeding gets', integer(1), 6)
    .option('--json', 'print rows as JSON, one a line');
  for (const option of shapeOptions()) command.addOption(option);
  return command.action(pipeline);
}

async function pipeline(options: PipelineOptions): Promise<void> {
  const { preset, rounds, json } = options;
  const shape = shapeOf(options, jobShape(preset));
  await warnUnlessQuiet();
  const scratch = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const log = await openEmbeddedLog(join(scratch, 'log'));
  try {
    progress('filling a topic and training a tokenizer');
    const sample = await fill(log);
    const tokenizer = createTokenizer(trainTokenizer([sample], presets[preset].model.vocabSize));
    const settings = settingsFor(preset, tokenizer.vocabSize);
    const logger = { info: progress, warn: progress };
    const trainer = await startTrainer({ settings, stagingDir: join(scratch, 'staging'), logger });
    try {
      const figures = await measure({ log, topic: TOPIC, tokenizer, trainer, ...shape }, rounds);
      if (json) printRows({ bench: 'pipeline', preset, ...shape }, figures);
      else print(figures, `preset ${preset}, batches of ${shape.rows} × ${shape.context} tokens`);
    } finally {
      await trainer.close();
    }
  } finally {
    await log.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The job's, for a vocabulary that may be smaller than the preset's. */
function settingsFor(preset: PresetName, vocabSize: number): TrainerSettings {
  const { model, optimizer, schedule } = presets[preset];
  return {
    model: { ...model, vocabSize },
    seed: 1,
    optimizer,
    schedule,
    accumulate: 1,
    engine: suitableEngine(preset),
  };
}

async function measure(feed: Feed, rounds: number): Promise<readonly Figure[]> {
  const batches: StepInput[] = [];
  progress('warming up');
  await pipelineRate({ ...feed, onBatch: (batch) => batches.push(batch) }, TURN_MS);
  const rates: Record<'fed' | 'bare' | 'ratio', number>[] = [];
  for (let round = 0; round < rounds; round++) {
    const fed = await pipelineRate(feed, TURN_MS);
    const bare = await bareRate(feed.trainer, batches, TURN_MS);
    rates.push({ fed, bare, ratio: fed / bare });
  }
  const middle = (which: keyof (typeof rates)[number]): number => median(rates.map((rate) => rate[which]));
  return [
    { case: 'pipeline', metric: 'tokensPerSecond', value: middle('fed'), unit: 'tokens/s' },
    { case: 'bare', metric: 'tokensPerSecond', value: middle('bare'), unit: 'tokens/s' },
    { case: 'pipeline/bare', metric: 'speedRatio', value: middle('ratio'), unit: 'fraction' },
  ];
}

/** Puts the addresses into the topic; resolves with the first of their text. */
async function fill(log: TopicLog): Promise<string> {
  const records = await sotuRecords();
  await log.createTopic(TOPIC);
  await log.produce(TOPIC, records);
  return records
    .map(({ value }) => value?.toString() ?? '')
    .join('\n')
    .slice(0, SAMPLE_CHARACTERS);
}

function print(figures: readonly Figure[], what: string): void {
  console.log(`Training fed from a topic and from memory, ${what}\n`);
  const cells = figures.map(({ case: name, value, unit }) => [
    name,
    unit === 'fraction' ? `${(100 * value).toFixed(1)} %` : `${count(value)} ${unit}`,
  ]);
  console.log(table(null, cells));
  console.log('Medians of turns that alternate. The pipeline: ingest, decode, tokenize, batch, trainStep.');
}
