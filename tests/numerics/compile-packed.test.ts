import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compile } from '../../model/compile/index.ts';
import { packBfloat16 } from '../../model/pack-bfloat16.ts';
import { tf } from '../../model/tf.ts';

/** What a graph sees of a packed input. */
function unpacked(values: Float32Array, shape: readonly [number, number]): Float32Array {
  const look = compile(({ x }) => ({ outputs: { y: x.mul(1) } }), {
    inputs: { x: { shape: [...shape], dtype: 'float32', packed: true } },
  });
  const packed = packBfloat16(values, shape);
  const { y } = look({ x: packed });
  const seen = y.dataSync<'float32'>().slice();
  tf.dispose([packed, y]);
  look.dispose();
  return seen;
}

test('a packed number is the nearest bfloat16, as TensorFlow rounds it', () => {
  const floats = fc.float32Array({ noNaN: true, noDefaultInfinity: true, minLength: 64, maxLength: 64 });
  const cast = compile(({ x }) => ({ outputs: { y: x.matMul(tf.eye(8)) } }), {
    inputs: { x: { shape: [8, 8], dtype: 'float32' } },
    precision: 'bf16',
  });
  fc.assert(
    fc.property(floats, (values) => {
      // Beyond this, rounding may reach infinity, which no weights file may hold; and products drop denormals.
      const usual = values.map((value) => (Math.abs(value) < 3e38 && Math.abs(value) > 1e-30 ? value : 0));
      const input = tf.tensor2d(usual.slice(), [8, 8]);
      const { y } = cast({ x: input });
      expect(unpacked(usual, [8, 8])).toEqual(y.dataSync());
      tf.dispose([input, y]);
    }),
    { numRuns: 20 },
  );
  cast.dispose();
});

test('products read packed weights as those that they would have rounded themselves', () => {
  const [x, w] = [tf.randomNormal([4, 32], 0, 1, 'float32', 1), tf.randomNormal([16, 32], 0, 1, 'float32', 2)];
  const inputs = { x: { shape: [4, 32], dtype: 'float32' } } as const;
  const weights = { shape: [16, 32], dtype: 'float32' } as const;
  const plain = compile((t) => ({ outputs: { y: t.x.matMul(t.w, false, true) } }), {
    inputs: { ...inputs, w: weights },
    precision: 'bf16',
  });
  const packed = compile((t) => ({ outputs: { y: t.x.matMul(t.w, false, true) } }), {
    inputs: { ...inputs, w: { ...weights, packed: true } },
    precision: 'bf16',
  });
  const expected = plain({ x, w }).y.dataSync();
  expect(packed({ x, w: packBfloat16(w.dataSync<'float32'>(), [16, 32]) }).y.dataSync()).toEqual(expected);
});

test('a packed input that is fed as it is, is refused', () => {
  const look = compile(({ x }) => ({ outputs: { y: x.mul(1) } }), {
    inputs: { x: { shape: [2, 2], dtype: 'float32', packed: true } },
  });
  expect(() => look({ x: tf.zeros([2, 2]) })).toThrow(/packed int32 as x, not float32/);
  look.dispose();
});

test('a packed output is what a packed input takes', () => {
  const inputs = { x: { shape: [2, 3, 4], dtype: 'float32' } } as const;
  const give = compile((t) => ({ outputs: { y: t.x.mul(3) } }), { inputs, packedOutputs: ['y'], precision: 'bf16' });
  const take = compile((t) => ({ outputs: { y: t.x.mul(1) } }), { inputs: { x: { ...inputs.x, packed: true } } });
  const x = tf.randomNormal([2, 3, 4], 0, 1, 'float32', 3);
  const { y: packed } = give({ x });
  expect(packed.shape).toEqual([2, 3, 2]);
  const tripled = x.mul(3).dataSync<'float32'>();
  expect(take({ x: packed }).y.dataSync()).toEqual(take({ x: packBfloat16(tripled, [2, 3, 4]) }).y.dataSync());
  give.dispose();
  take.dispose();
});
