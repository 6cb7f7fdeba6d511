import type { ModelConfig } from '../../model/config.ts';
import { count, size, table } from '../../pipelines/terminal/format.ts';
import { isTorch } from './cases.ts';
import { flopsPerToken } from './flops.ts';
import type { Peaks } from './matmul-peak.ts';
import type { Runner } from './race.ts';
import type { Figure, Setting } from './report.ts';
import { curveDistance } from './same-work.ts';
import type { Shape } from './shapes.ts';

interface Conditions {
  readonly shape: Shape;
  readonly model: ModelConfig;
  readonly peaks: Peaks;
  readonly reference: Runner | undefined;
}

/** All figures of a race, case by case, then what they are to be compared with. */
export function figuresOf(runners: readonly Runner[], conditions: Conditions): readonly Figure[] {
  const { f32, bf16 } = conditions.peaks;
  const peaks: readonly Figure[] = [
    { case: 'matmul-f32', metric: 'flopsPerSecond', value: f32, unit: 'FLOP/s' },
    { case: 'matmul-bf16', metric: 'flopsPerSecond', value: bf16, unit: 'FLOP/s' },
  ];
  return [...runners.flatMap((runner) => figuresOfRunner(runner, conditions)), ...peaks, ...ratio(runners)];
}

function figuresOfRunner(runner: Runner, { shape, model, peaks, reference }: Conditions): readonly Figure[] {
  const { contestant, firstStepMs, msPerStep } = runner;
  const tokensPerSecond = (shape.rows * shape.context * 1000) / msPerStep;
  const mfu = (tokensPerSecond * flopsPerToken(model, shape.context)) / peaks[contestant.precision];
  const rss = contestant.peakRssBytes();
  const figure = (metric: string, value: number, unit: string): Figure => {
    return { case: contestant.name, metric, value, unit };
  };
  return [
    figure('tokensPerSecond', tokensPerSecond, 'tokens/s'),
    figure('msPerStep', msPerStep, 'ms'),
    figure('mfu', mfu, 'fraction'),
    ...(rss === null ? [] : [figure('peakRssBytes', rss, 'bytes')]),
    figure('firstStepMs', firstStepMs, 'ms'),
    ...(reference ? [figure('lossDistance', curveDistance(runner, reference), 'nats')] : []),
  ];
}

/** Our best over PyTorch's best. */
function ratio(runners: readonly Runner[]): readonly Figure[] {
  const ours = fastest(runners.filter(({ contestant }) => !isTorch(contestant.name)));
  const theirs = fastest(runners.filter(({ contestant }) => isTorch(contestant.name)));
  if (!ours || !theirs) return [];
  const name = `${ours.contestant.name}/${theirs.contestant.name}`;
  return [{ case: name, metric: 'speedRatio', value: theirs.msPerStep / ours.msPerStep, unit: 'fraction' }];
}

function fastest(runners: readonly Runner[]): Runner | undefined {
  return runners.toSorted((a, b) => a.msPerStep - b.msPerStep)[0];
}

/** How each metric is shown, under which title. */
const columns: readonly (readonly [metric: string, title: string, show: (value: number) => string])[] = [
  ['tokensPerSecond', 'tokens/s', count],
  ['msPerStep', 'ms/step', (value) => value.toFixed(1)],
  ['mfu', 'MFU', (value) => `${(100 * value).toFixed(0)} %`],
  ['peakRssBytes', 'peak RSS', size],
  ['firstStepMs', 'first step', (value) => `${(value / 1000).toFixed(1)} s`],
  ['lossDistance', 'loss off by', (value) => value.toExponential(0)],
];

export function printTable(
  { preset, rows, context }: Required<Omit<Setting, 'slots' | 'share'>>,
  figures: readonly Figure[],
): void {
  const value = (name: string, metric: string): number | undefined =>
    figures.find((figure) => figure.case === name && figure.metric === metric)?.value;
  const timed = figures.filter(({ metric }) => metric === 'msPerStep');
  const cells = timed.map((figure) => [
    figure.case,
    ...columns.map(([metric, , show]) => {
      const found = value(figure.case, metric);
      return found === undefined ? '' : show(found);
    }),
  ]);
  const gigaflops = (precision: string): string => count((value(`matmul-${precision}`, 'flopsPerSecond') ?? 0) / 1e9);
  console.log(`Training steps of preset ${preset}, batches of ${rows} × ${context} tokens\n`);
  console.log(table(['case', ...columns.map(([, title]) => title)], cells));
  console.log('Medians of steps taken in turns, each on a fresh batch. MFU: model FLOPs over what a large product of');
  console.log(`matrices reaches here, ${gigaflops('f32')} GFLOP/s in f32 and ${gigaflops('bf16')} in bf16.`);
  const ratio = figures.find(({ metric }) => metric === 'speedRatio');
  if (ratio) console.log(`\nBest of ours over PyTorch's best: ${ratio.value.toFixed(2)} (${ratio.case})`);
}
