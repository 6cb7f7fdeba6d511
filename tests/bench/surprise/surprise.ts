import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { openEmbeddedLog, startTrainer } from '../../../infra/index.ts';
import { presets } from '../../../model/presets.ts';
import type { PresetName } from '../../../model/presets.ts';
import { trainTokenizer } from '../../../model/tokenizer/tokenizer-file.ts';
import { createTokenizer } from '../../../model/tokenizer/tokenizer.ts';
import { integer } from '../../../pipelines/commands/options.ts';
import { suitableEngine } from '../../../pipelines/job/suitable-engine.ts';
import { count, table } from '../../../pipelines/terminal/format.ts';
import { printRows, progress } from '../report.ts';
import type { Figure } from '../report.ts';
import { jobShape } from '../shapes.ts';
import { anomalies, withAnomalies } from './anomalies.ts';
import type { LabelledLine } from './anomalies.ts';
import { frequencyScores, gzipScores } from './baselines.ts';
import { detection } from './detection.ts';
import { examine } from './examine.ts';
import { npmLogLines } from './npm-log.ts';

interface Options {
  readonly preset: PresetName;
  readonly lines: number;
  readonly seed: number;
  readonly json?: true;
}

const SHARE = 0.01;
/** Of the lines: what is told of the first ones does not count, since nobody knows yet what is usual. */
const WARM_UP = 0.1;
const SAMPLE_CHARACTERS = 1_000_000;

/** A way to score, and its scores of the lines that count. */
interface Contestant {
  readonly name: string;
  readonly scores: readonly number[];
}

/** `bench surprise`: odd lines in a real log, found by the exam before the lesson, by gzip, and by how frequent words are. */
export function surpriseBench(): Command {
  return new Command('surprise')
    .description("Put odd lines into npm's debug logs, and find them by what each line takes before it is learnt.")
    .addOption(new Option('--preset <name>', "the model's size").choices(['nano', 'small']).default('nano'))
    .option('--lines <n>', 'lines of the log', integer(1000), 100_000)
    .option('--seed <n>', 'seed of the odd lines', integer(0), 1)
    .option('--json', 'print rows as JSON, one a line')
    .action(run);
}

async function run({ preset, lines: wanted, seed, json }: Options): Promise<void> {
  const lines = withAnomalies(await npmLogLines(wanted, 1), SHARE, seed);
  const texts = lines.map(({ text }) => text);
  const startedMs = performance.now();
  const figures = await examineLines(texts, preset);
  const seconds = (performance.now() - startedMs) / 1000;
  progress('scoring by gzip and by words');
  const from = Math.floor(WARM_UP * lines.length);
  // The last lines fill no batch, and have no figures.
  const counts = lines.map((_, at) => at >= from && figures[at] !== undefined);
  const kept = <T>(values: readonly T[]): readonly T[] => values.filter((_, at) => counts[at]);
  const contestants: readonly Contestant[] = [
    { name: 'millrace, bits per byte', scores: kept(figures.map((each) => each?.bitsPerByte ?? 0)) },
    { name: 'millrace, sigma', scores: kept(figures.map((each) => each?.sigma ?? 0)) },
    { name: 'gzip', scores: kept(gzipScores(texts)) },
    { name: 'token frequency', scores: kept(frequencyScores(texts)) },
  ];
  const judged = kept(lines);
  const odd = judged.map(({ anomaly }) => anomaly !== null);
  const rows = contestants.map((each) => ({ ...each, ...detection(each.scores, odd) }));
  if (json) {
    const told = rows.flatMap(({ name, precision, recall, f1, averagePrecision }): Figure[] =>
      Object.entries({ precision, recall, f1, averagePrecision }).map(([metric, value]) => {
        return { case: name, metric, value, unit: 'fraction' };
      }),
    );
    printRows({ bench: 'surprise', preset }, told);
    return;
  }
  const found = odd.filter(Boolean).length;
  console.log(
    `${count(judged.length)} lines, ${count(found)} of them odd; seed ${seed}, preset ${preset}, ${seconds.toFixed(0)} s\n`,
  );
  const cells = rows.map(({ name, ...each }) => [
    name,
    ...[each.precision, each.recall, each.f1, each.averagePrecision].map((value) => value.toFixed(3)),
  ]);
  console.log(table(['by', 'precision', 'recall', 'F1', 'average precision'], cells));
  console.log('Found of each kind, at that threshold:\n');
  console.log(
    table(
      ['by', ...anomalies],
      rows.map((row) => [row.name, ...recalls(row, judged)]),
    ),
  );
}

/** Share of each kind's lines that reach the threshold. */
function recalls(
  { scores, threshold }: Contestant & { readonly threshold: number },
  lines: readonly LabelledLine[],
): readonly string[] {
  return anomalies.map((kind) => {
    const reached = lines.flatMap(({ anomaly }, at) => (anomaly === kind ? [(scores[at] ?? 0) >= threshold] : []));
    return (reached.filter(Boolean).length / reached.length).toFixed(2);
  });
}

async function examineLines(texts: readonly string[], preset: PresetName): ReturnType<typeof examine> {
  const scratch = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const log = await openEmbeddedLog(join(scratch, 'log'));
  try {
    progress('training a tokenizer on the first lines');
    const { model, optimizer, schedule } = presets[preset];
    const sample = texts.join('\n').slice(0, SAMPLE_CHARACTERS);
    const tokenizer = createTokenizer(trainTokenizer([sample], model.vocabSize));
    const settings = {
      model: { ...model, vocabSize: tokenizer.vocabSize },
      seed: 1,
      optimizer,
      schedule,
      accumulate: 1,
      engine: suitableEngine(preset),
    };
    const trainer = await startTrainer({
      settings,
      stagingDir: join(scratch, 'staging'),
      logger: { info: progress, warn: progress },
    });
    try {
      const onProgress = (documents: number): void => progress(`${count(documents)} of ${count(texts.length)} lines`);
      return await examine(texts, { log, tokenizer, trainer, ...jobShape(preset), onProgress });
    } finally {
      await trainer.close();
    }
  } finally {
    await log.close();
    await rm(scratch, { recursive: true, force: true });
  }
}
