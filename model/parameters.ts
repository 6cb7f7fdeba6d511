import type { Tensor } from '@tensorflow/tfjs-node';
import { ModelError } from './errors.ts';

/** Tensors by Hugging Face's names: weights, their gradients, their running means. */
export type Parameters = Readonly<Record<string, Tensor>>;

/** The tensor of that name; throws `weights-mismatch` where there is none. */
export function parameter(parameters: Parameters, name: string): Tensor {
  const found = parameters[name];
  if (found) return found;
  throw new ModelError('weights-mismatch', `There is no tensor "${name}": these weights belong to another config.`);
}

/** The same names with other tensors. */
export function mapParameters(parameters: Parameters, change: (tensor: Tensor, name: string) => Tensor): Parameters {
  return Object.fromEntries(Object.entries(parameters).map(([name, tensor]) => [name, change(tensor, name)]));
}

/** Tensors in the order of `names` under those names. */
export function nameParameters(names: readonly string[], tensors: readonly Tensor[]): Parameters {
  return Object.fromEntries(tensors.map((tensor, at) => [names[at] ?? '', tensor]));
}
