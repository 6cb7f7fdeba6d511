import { Option } from 'commander';
import { presetNames, presets } from '../../model/presets.ts';
import type { PresetName } from '../../model/presets.ts';
import { integer } from '../../pipelines/commands/options.ts';

export interface Shape {
  readonly rows: number;
  readonly context: number;
}

/** What `--preset`, `--rows` and `--context` say. */
export interface ShapeOptions extends Partial<Shape> {
  readonly preset: PresetName;
}

/** The shapes that engines are compared at; those of `base` keep a step on two cores within a second. */
export const comparedShapes: Readonly<Record<PresetName, Shape>> = {
  nano: { rows: 8, context: 64 },
  small: { rows: 8, context: 256 },
  base: { rows: 4, context: 64 },
  'fast-nano': { rows: 8, context: 64 },
  'fast-small': { rows: 8, context: 256 },
  'fast-base': { rows: 4, context: 64 },
};

/** The shape that a job of the preset trains with. */
export function jobShape(preset: PresetName): Shape {
  const { batchRows, model } = presets[preset];
  return { rows: batchRows, context: model.maxContext };
}

export function shapeOptions(): readonly Option[] {
  const preset = new Option('--preset <name>', "the model's size").choices(presetNames).default('small');
  const rows = new Option('--rows <n>', "rows of a batch; by default the preset's").argParser(integer(1));
  const context = new Option('--context <n>', "tokens of a row; by default the preset's").argParser(integer(1));
  return [preset, rows, context];
}

/** What the options leave open is the default's. */
export function shapeOf({ rows, context }: ShapeOptions, byDefault: Shape): Shape {
  return { rows: rows ?? byDefault.rows, context: context ?? byDefault.context };
}
