import type { PresetName } from '../../model/presets.ts';

/** What the figures of one bench have in common. */
export interface Setting {
  readonly bench: string;
  readonly preset?: PresetName;
  /** Shape of the batches. */
  readonly rows?: number;
  readonly context?: number;
  /** Prompts that are answered at once. */
  readonly slots?: number;
  /** Of the sampler. */
  readonly share?: number;
}

/** One figure that a bench measured. */
export interface Figure {
  readonly case: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
}

/** What `--json` prints, one a line. */
export function printRows({ bench, ...setting }: Setting, figures: readonly Figure[]): void {
  for (const { case: name, ...figure } of figures) {
    console.log(JSON.stringify({ bench, case: name, ...setting, ...figure }));
  }
}

/** How far a bench is; aside from its result, which may go into a file. */
export function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

/** The value that so much of all are not above, by the nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [(sorted.length - 1) >> 1, sorted.length >> 1];
  return ((sorted[low] ?? Number.NaN) + (sorted[high] ?? Number.NaN)) / 2;
}
