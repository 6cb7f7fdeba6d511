import type { PresetName } from '../../model/presets.ts';

/** One figure that a bench measured. With `--json`, one a line. */
export interface Row {
  readonly bench: string;
  readonly case: string;
  readonly preset: PresetName;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** Shape of the batches. */
  readonly rows: number;
  readonly context: number;
}

/** What the rows of one bench have in common. */
export type Setting = Pick<Row, 'bench' | 'preset' | 'rows' | 'context'>;

export type Figure = Omit<Row, keyof Setting>;

export function printRows(setting: Setting, figures: readonly Figure[]): void {
  const { bench, preset, rows, context } = setting;
  for (const { case: name, metric, value, unit } of figures) {
    const row: Row = { bench, case: name, preset, metric, value, unit, rows, context };
    console.log(JSON.stringify(row));
  }
}

/** How far a bench is; aside from its result, which may go into a file. */
export function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [(sorted.length - 1) >> 1, sorted.length >> 1];
  return ((sorted[low] ?? Number.NaN) + (sorted[high] ?? Number.NaN)) / 2;
}
