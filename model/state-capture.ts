import type { Tensor } from '@tensorflow/tfjs-node';
import { ModelError } from './errors.ts';
import type { Parameters } from './parameters.ts';
import type { StatePart } from './step-runner.ts';
import { tf } from './tf.ts';

/**
 * The state of a model at one moment, as tensors that nobody else disposes of. TensorFlow shares their memory with the
 * variables until those change, so that to capture is cheap, and reading out can be spread over time.
 */
export class StateCapture {
  readonly #tensors: ReadonlyMap<StatePart, Map<string, Tensor>>;

  constructor(parts: Readonly<Partial<Record<StatePart, Parameters>>>) {
    const named = (['weights', 'mean', 'meanSquare', 'ema'] as const).flatMap((part) => {
      const tensors = parts[part];
      return tensors ? [[part, new Map(Object.entries(tensors))] as const] : [];
    });
    this.#tensors = new Map(named);
  }

  has(part: StatePart): boolean {
    return this.#tensors.has(part);
  }

  /** Reads one tensor out and lets go of it; it can be taken once. The array must not be changed. */
  take(part: StatePart, name: string): Float32Array {
    const tensors = this.#tensors.get(part);
    const tensor = tensors?.get(name);
    if (!tensors || !tensor) throw new ModelError('weights-mismatch', `There is no "${name}" among the ${part}.`);
    tensors.delete(name);
    const values = tensor.dataSync<'float32'>();
    tensor.dispose();
    return values;
  }

  /** Lets go of what was not taken. */
  dispose(): void {
    for (const tensors of this.#tensors.values()) {
      tf.dispose([...tensors.values()]);
      tensors.clear();
    }
  }
}
