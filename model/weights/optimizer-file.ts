import { readSafetensors, writeSafetensors } from './safetensors.ts';
import type { Values } from '../step-runner.ts';
import { takeValues, withShapes } from './weights-file.ts';

type Shapes = ReadonlyMap<string, readonly number[]>;

export interface OptimizerValues {
  readonly mean: Values;
  readonly meanSquare: Values;
}

/** PyTorch's names of AdamW's two running means, behind the parameter's. */
const endings = { mean: '.exp_avg', meanSquare: '.exp_avg_sq' } as const;

/** Writes the optimizer's running means of all parameters. */
export function writeOptimizer(path: string, shapes: Shapes, values: OptimizerValues): void {
  const mean = withShapes(addEnding(values.mean, endings.mean), addEnding(shapes, endings.mean));
  const meanSquare = withShapes(
    addEnding(values.meanSquare, endings.meanSquare),
    addEnding(shapes, endings.meanSquare),
  );
  writeSafetensors(path, new Map([...mean, ...meanSquare]), { format: 'pt' });
}

/** Throws `weights-corrupt` or `weights-mismatch` when they are not all there, in the right shapes. */
export function readOptimizer(path: string, shapes: Shapes): OptimizerValues {
  const { tensors } = readSafetensors(path);
  const take = (ending: string): Values => {
    const values = takeValues(path, tensors, addEnding(shapes, ending));
    return new Map([...values].map(([name, data]) => [name.slice(0, -ending.length), data]));
  };
  return { mean: take(endings.mean), meanSquare: take(endings.meanSquare) };
}

function addEnding<T>(map: ReadonlyMap<string, T>, ending: string): Map<string, T> {
  return new Map([...map].map(([name, value]) => [`${name}${ending}`, value]));
}
