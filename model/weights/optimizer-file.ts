import { readSafetensors } from './safetensors.ts';
import { streamSafetensors } from './safetensors-stream.ts';
import type { Values } from '../step-runner.ts';
import { laterTensors, takeValues } from './weights-file.ts';

type Shapes = ReadonlyMap<string, readonly number[]>;

export interface OptimizerValues {
  readonly mean: Values;
  readonly meanSquare: Values;
}

/** PyTorch's names of AdamW's two running means, behind the parameter's. */
const endings = { mean: '.exp_avg', meanSquare: '.exp_avg_sq' } as const;
const moments = ['mean', 'meanSquare'] as const;

/** Writes the optimizer's running means of all parameters, slice by slice; see `streamSafetensors`. */
export function streamOptimizer(
  path: string,
  shapes: Shapes,
  take: (moment: keyof OptimizerValues, name: string) => Float32Array,
): Promise<void> {
  const tensors = moments.flatMap((moment) => [
    ...laterTensors(addEnding(shapes, endings[moment]), (name) => take(moment, name.slice(0, -endings[moment].length))),
  ]);
  return streamSafetensors(path, new Map(tensors), { format: 'pt' });
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
