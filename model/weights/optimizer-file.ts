import { readSafetensors } from './safetensors.ts';
import { streamSafetensors } from './safetensors-stream.ts';
import type { Shapes, Values } from '../step-runner.ts';
import { laterTensors, takeValues } from './weights-file.ts';

export interface OptimizerValues {
  readonly mean: Values;
  readonly meanSquare: Values;
}

/** Tensors of the two running means. */
export type MomentShapes = Readonly<Record<keyof OptimizerValues, Shapes>>;

/** PyTorch's names of AdamW's two running means, behind the parameter's. */
const endings = { mean: '.exp_avg', meanSquare: '.exp_avg_sq' } as const;
const moments = ['mean', 'meanSquare'] as const;

/** Writes the optimizer's running means of all parameters, slice by slice; see `streamSafetensors`. */
export function streamOptimizer(
  path: string,
  shapes: MomentShapes,
  take: (moment: keyof OptimizerValues, name: string) => Float32Array,
): Promise<void> {
  const tensors = moments.flatMap((moment) => [
    ...laterTensors(addEnding(shapes[moment], endings[moment]), (name) =>
      take(moment, name.slice(0, -endings[moment].length)),
    ),
  ]);
  return streamSafetensors(path, new Map(tensors), { format: 'pt' });
}

/** Throws `weights-corrupt` or `weights-mismatch` when they are not all there, in the right shapes. */
export function readOptimizer(path: string, shapes: MomentShapes): OptimizerValues {
  const { tensors } = readSafetensors(path);
  const take = (moment: keyof OptimizerValues): Values => {
    const ending = endings[moment];
    const values = takeValues(path, tensors, addEnding(shapes[moment], ending));
    return new Map([...values].map(([name, data]) => [name.slice(0, -ending.length), data]));
  };
  return { mean: take('mean'), meanSquare: take('meanSquare') };
}

function addEnding<T>(map: ReadonlyMap<string, T>, ending: string): Map<string, T> {
  return new Map([...map].map(([name, value]) => [`${name}${ending}`, value]));
}
