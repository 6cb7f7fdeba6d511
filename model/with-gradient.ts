import type { Tensor } from '@tensorflow/tfjs-node';
import { tf } from './tf.ts';

/** `tf.customGrad` with types: `backward` gets what `forward` saved, in order, and returns one gradient per input. */
export function withGradient<const Saved extends readonly Tensor[]>(
  inputs: readonly Tensor[],
  forward: () => { readonly value: Tensor; readonly saved: Saved },
  backward: (dy: Tensor, saved: Saved) => Tensor[],
): Tensor {
  const run = tf.customGrad((...given) => {
    const { value, saved } = forward();
    const save = given.at(-1);
    if (typeof save === 'function') save([...saved]);
    const gradFunc = (dy: Tensor, kept: readonly Tensor[]): Tensor[] => {
      if (!isLike(kept, saved)) throw new TypeError(`${kept.length} tensors came back of ${saved.length} saved`);
      return backward(dy, kept);
    };
    return { value, gradFunc };
  });
  return run(...inputs);
}

function isLike<Saved extends readonly Tensor[]>(tensors: readonly Tensor[], saved: Saved): tensors is Saved {
  return tensors.length === saved.length;
}
