import type { Tensor } from '@tensorflow/tfjs-node';
import { tf } from './tf.ts';
import { bfloatOf } from './weights/narrow.ts';

/**
 * A float32 matrix rounded to bfloat16, two numbers to an int32, which is how a compiled function takes an input that is
 * `packed`: tfjs has no bfloat16. Rounds to nearest, ties to even. The last axis must be even.
 */
export function packBfloat16(values: Float32Array, shape: readonly number[]): Tensor {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const packed = new Int32Array(values.length / 2);
  for (let i = 0; i < packed.length; i++) {
    packed[i] = bfloatOf(bits[2 * i] ?? 0) | (bfloatOf(bits[2 * i + 1] ?? 0) << 16);
  }
  return tf.tensor(packed, [...shape.slice(0, -1), (shape.at(-1) ?? 0) / 2], 'int32');
}
