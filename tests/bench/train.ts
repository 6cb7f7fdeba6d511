import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { initialWeights } from '../../model/init.ts';
import { presets } from '../../model/presets.ts';
import type { PresetName } from '../../model/presets.ts';
import type { TrainerSettings } from '../../model/settings.ts';
import { writeWeights } from '../../model/weights/weights-file.ts';
import { integer } from '../../pipelines/commands/options.ts';
import { torchPython } from '../support/torch-venv.ts';
import { syntheticBatch } from './batches.ts';
import { caseNamed, isTorch, millraceCases, torchCases, variants } from './cases.ts';
import { startMillrace } from './contestant.ts';
import type { Contestant } from './contestant.ts';
import { greaterOf, matmulPeaks } from './matmul-peak.ts';
import { warnUnlessQuiet } from './quiet.ts';
import { race, Runner } from './race.ts';
import { printRows, progress } from './report.ts';
import { requireSameWork } from './same-work.ts';
import { comparedShapes, shapeOf, shapeOptions } from './shapes.ts';
import type { ShapeOptions } from './shapes.ts';
import { startTorch } from './torch.ts';
import { figuresOf, printTable } from './train-result.ts';

interface TrainOptions extends ShapeOptions {
  readonly torch?: true;
  readonly cases?: readonly string[];
  readonly rounds: number;
  readonly json?: true;
}

/** Steps over which loss curves are compared, and which don't count. */
const WARMUP_STEPS = 8;
const TURN_MS = 1000;
const SEED = 1;

/** `bench train`: what one training step takes, in every mode, side by side. */
export function trainBench(): Command {
  const command = new Command('train')
    .description('Time training steps: op by op and compiled, in float32 and bfloat16, and in PyTorch.')
    .option('--torch', 'also PyTorch, in a virtual environment of its own (made once: 3 GB to download)')
    .option('--cases <names>', `only these, for instance ${variants.slice(2).join(',')}`, caseNames)
    .option('--rounds <n>', 'turns of a second or longer that each case gets', integer(1), 10)
    .option('--json', 'print rows as JSON, one a line');
  for (const option of shapeOptions()) command.addOption(option);
  return command.action(train);
}

function caseNames(text: string): readonly string[] {
  const names = text.split(',');
  const known = [...millraceCases, ...torchCases, ...variants];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return names;
  throw new InvalidArgumentError(`There is no case ${unknown.join(', ')}. There are ${known.join(', ')}.`);
}

async function train(options: TrainOptions): Promise<void> {
  const { preset } = options;
  const shape = shapeOf(options, comparedShapes[preset]);
  const names = options.cases ?? [...millraceCases, ...(options.torch ? torchCases : [])];
  const { model } = presets[preset];
  await warnUnlessQuiet();
  progress('measuring what a product of matrices reaches');
  const before = await matmulPeaks();
  const scratch = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const runners: Runner[] = [];
  try {
    for (const name of names) {
      const contestant = await start(name, preset, scratch);
      const runner = new Runner(contestant, (step) => syntheticBatch(step, shape, model.vocabSize));
      runners.push(runner);
      await runner.warmUp(WARMUP_STEPS);
      progress(`${name}: first step took ${(runner.firstStepMs / 1000).toFixed(1)} s`);
    }
    const reference = referenceOf(runners);
    if (reference) requireSameWork(runners, reference);
    await race(runners, options.rounds, TURN_MS);
    const peaks = greaterOf(before, await matmulPeaks());
    const setting = { bench: 'train', preset, ...shape };
    const figures = figuresOf(runners, { shape, model, peaks, reference });
    if (options.json) printRows(setting, figures);
    else printTable(setting, figures);
  } finally {
    for (const { contestant } of runners) await contestant.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Whose loss curve the others are held to: PyTorch's in f32, else one of ours. */
function referenceOf(runners: readonly Runner[]): Runner | undefined {
  const inFloat32 = runners.filter(({ contestant }) => contestant.precision === 'f32');
  return inFloat32.find(({ contestant }) => isTorch(contestant.name)) ?? inFloat32[0];
}

async function start(name: string, preset: PresetName, scratch: string): Promise<Contestant> {
  const { model, optimizer, schedule } = presets[preset];
  const settings: TrainerSettings = { model, optimizer, schedule, seed: SEED, accumulate: 1 };
  const chosen = caseNamed(name, preset);
  if (chosen.by === 'millrace') return startMillrace(name, { ...settings, engine: chosen.engine }, scratch);
  const { precision, compile } = chosen;
  const python = await torchPython(progress);
  const weights = join(scratch, 'weights.safetensors');
  writeWeights(weights, { config: model, weights: initialWeights(model, SEED) });
  return startTorch({ name, python, weights, settings, precision, compile });
}
