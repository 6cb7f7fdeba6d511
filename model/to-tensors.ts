import { ModelError } from './errors.ts';
import type { BatchTensors } from './loss.ts';
import type { Parameters } from './parameters.ts';
import type { Values } from './step-runner.ts';
import { tf } from './tf.ts';
import type { StepInput } from './types.ts';

/* TensorFlow may go on reading an array after it was handed over, so every array is copied on its way in. */

export function toBatchTensors(batch: StepInput): BatchTensors {
  const shape: [number, number] = [batch.rows, batch.context];
  return {
    ids: tf.tensor2d(batch.ids.slice(), shape, 'int32'),
    targets: tf.tensor2d(batch.targets.slice(), shape, 'int32'),
    lossMask: tf.tensor2d(batch.lossMask.slice(), shape, 'float32'),
    ...(batch.segments && { segments: tf.tensor2d(batch.segments.slice(), shape, 'int32') }),
  };
}

/** Tensors of the given shapes, in their order. */
export function toParameters(values: Values, shapes: ReadonlyMap<string, readonly number[]>): Parameters {
  const named = [...shapes].map(([name, shape]) => {
    const data = values.get(name);
    if (!data) throw new ModelError('weights-mismatch', `There are no values for "${name}".`);
    return [name, tf.tensor(data.slice(), [...shape], 'float32')] as const;
  });
  return Object.fromEntries(named);
}
