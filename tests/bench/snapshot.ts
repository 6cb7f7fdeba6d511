import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { openCheckpointStore, startTrainer } from '../../infra/index.ts';
import { presets } from '../../model/presets.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import type { CheckpointStore, Trainer } from '../../operators/index.ts';
import { integer } from '../../pipelines/commands/options.ts';
import { suitableEngine } from '../../pipelines/job/suitable-engine.ts';
import { table } from '../../pipelines/terminal/format.ts';
import { syntheticBatch } from './batches.ts';
import { warnUnlessQuiet } from './quiet.ts';
import { median, printRows, progress } from './report.ts';
import type { Figure } from './report.ts';
import { jobShape, shapeOf, shapeOptions } from './shapes.ts';
import type { Shape, ShapeOptions } from './shapes.ts';

interface SnapshotOptions extends ShapeOptions {
  readonly snapshots: number;
  readonly json?: true;
}

/** Steps that don't count, and steps between two snapshots at least. */
const WARM_UP_STEPS = 8;
const STEPS_BETWEEN = 20;

/** `bench snapshot`: what a checkpoint costs the training that goes on beside it. */
export function snapshotBench(): Command {
  const command = new Command('snapshot')
    .description('Train without a pause while checkpoints are made, and time the longest step beside each.')
    .option('--snapshots <n>', 'checkpoints to make', integer(1), 6)
    .option('--json', 'print rows as JSON, one a line');
  for (const option of shapeOptions()) command.addOption(option);
  return command.action(snapshots);
}

async function snapshots(options: SnapshotOptions): Promise<void> {
  const { preset, json } = options;
  const shape = shapeOf(options, jobShape(preset));
  const { model, optimizer, schedule } = presets[preset];
  const settings: TrainerSettings = {
    model,
    optimizer,
    schedule,
    seed: 1,
    accumulate: 1,
    engine: suitableEngine(preset),
  };
  await warnUnlessQuiet();
  const scratch = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const logger = { info: progress, warn: progress };
  const store = await openCheckpointStore(join(scratch, 'checkpoints'), { jobId: 'bench', logger, describe: {} });
  const trainer = await startTrainer({ settings, stagingDir: join(scratch, 'staging'), logger });
  const pacer = new Pacer(trainer, shape, model.vocabSize);
  try {
    const figures = await measure(pacer, store, trainer, options.snapshots);
    if (json) printRows({ bench: 'snapshot', preset, ...shape }, figures);
    else print(figures, `preset ${preset}, batches of ${shape.rows} × ${shape.context} tokens`);
  } finally {
    await pacer.settled();
    await trainer.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Keeps two steps under way, as a job does, and notes when each is done. */
class Pacer {
  readonly doneAtMs: number[] = [];
  readonly #trainer: Trainer;
  readonly #shape: Shape;
  readonly #vocabSize: number;
  readonly #underWay: Promise<unknown>[] = [];
  #sent = 0;

  constructor(trainer: Trainer, shape: Shape, vocabSize: number) {
    this.#trainer = trainer;
    this.#shape = shape;
    this.#vocabSize = vocabSize;
  }

  async steps(count: number): Promise<void> {
    for (let step = 0; step < count; step++) {
      while (this.#underWay.length < 2) {
        this.#underWay.push(this.#trainer.step(syntheticBatch(this.#sent++, this.#shape, this.#vocabSize)));
      }
      await this.#underWay.shift();
      this.doneAtMs.push(performance.now());
    }
  }

  /** Resolves when no step is under way any more, whatever became of it. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }
}

async function measure(
  pacer: Pacer,
  store: CheckpointStore,
  trainer: Trainer,
  count: number,
): Promise<readonly Figure[]> {
  await trainer.restore(null);
  await pacer.steps(WARM_UP_STEPS + STEPS_BETWEEN);
  const usual = median(gaps(pacer.doneAtMs.slice(WARM_UP_STEPS)));
  const longest: Record<'beside' | 'otherwise', number>[] = [];
  const durations: number[] = [];
  for (let at = 0; at < count; at++) {
    const from = pacer.doneAtMs.length - 1;
    const saving = { isOver: false };
    const saved = save(trainer, store).finally(() => (saving.isOver = true));
    // Whether it went well is asked once the steps beside it are done.
    saved.catch(() => undefined);
    do await pacer.steps(STEPS_BETWEEN);
    while (!saving.isOver);
    durations.push(await saved);
    const until = pacer.doneAtMs.length - 1;
    await pacer.steps(until - from);
    const longestOf = (times: readonly number[]): number => Math.max(...gaps(times));
    longest.push({
      beside: longestOf(pacer.doneAtMs.slice(from, until + 1)),
      otherwise: longestOf(pacer.doneAtMs.slice(until)),
    });
  }
  return [
    figure('msPerStep', usual),
    figure('longestStepMs', median(longest.map(({ beside }) => beside))),
    figure('longestStepOtherwiseMs', median(longest.map(({ otherwise }) => otherwise))),
    figure('snapshotStallMs', median(longest.map(({ beside, otherwise }) => beside - otherwise))),
    figure('checkpointMs', median(durations)),
  ];
}

/** Makes a checkpoint; resolves with how long that took, in milliseconds. */
async function save(trainer: Trainer, store: CheckpointStore): Promise<number> {
  const startMs = performance.now();
  const snapshot = await trainer.snapshot();
  await store.put({ reason: 'steps', states: new Map([['train', snapshot]]) });
  await store.prune(1);
  return performance.now() - startMs;
}

function figure(metric: string, value: number): Figure {
  return { case: 'snapshot', metric, value, unit: 'ms' };
}

function gaps(times: readonly number[]): number[] {
  return times.slice(1).map((time, at) => time - (times[at] ?? Number.NaN));
}

const TITLES: Readonly<Record<string, string>> = {
  msPerStep: 'a step',
  longestStepMs: 'the longest step beside a checkpoint',
  longestStepOtherwiseMs: 'the longest of as many steps without one',
  snapshotStallMs: 'what a checkpoint adds to it',
  checkpointMs: 'until the checkpoint is safe on the disk',
};

function print(figures: readonly Figure[], what: string): void {
  console.log(`Training beside checkpoints, ${what}\n`);
  console.log(
    table(
      null,
      figures.map(({ metric, value }) => [TITLES[metric] ?? metric, `${value.toFixed(1)} ms`]),
    ),
  );
}
