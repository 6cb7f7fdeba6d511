import type { Tensor } from '@tensorflow/tfjs-node';
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { compile, compileProgram, traceable } from '../../model/compile/index.ts';
import { ModelError } from '../../model/errors.ts';
import { backend, tf } from '../../model/tf.ts';

const vector = { shape: [3], dtype: 'float32' } as const;

function numbers(tensor: Tensor | undefined): number[] {
  return Array.from(tensor?.dataSync() ?? []);
}

describe('variables', () => {
  test('keep their values between calls; a call assigns what it computed from the old ones', () => {
    tf.tidy(() => {
      const swap = compile(({ x }, { a, b }) => ({ outputs: { sum: a.add(b).add(x) }, assign: { a: b, b: a } }), {
        inputs: { x: vector },
        variables: { a: tf.tensor1d([1, 2, 3]), b: tf.tensor1d([10, 20, 30]) },
      });
      expect(numbers(swap({ x: tf.tensor1d([0, 0, 1]) }).sum)).toEqual([11, 22, 34]);
      const { a, b } = swap.read();
      expect([numbers(a), numbers(b)]).toEqual([
        [10, 20, 30],
        [1, 2, 3],
      ]);
      swap.write({ a: tf.tensor1d([5, 5, 5]) });
      expect(numbers(swap({ x: tf.zeros([3]) }).sum)).toEqual([6, 7, 8]);
      swap.dispose();
    });
  });

  test('what was read stays what it was when the variable changes', () => {
    tf.tidy(() => {
      const count = compile((_inputs, { n }) => ({ outputs: { n }, assign: { n: n.add(1) } }), {
        inputs: {},
        variables: { n: tf.tensor1d([1, 1, 1]) },
      });
      const before = count.read()['n'];
      const { n: returned } = count({});
      count({});
      expect(numbers(before)).toEqual([1, 1, 1]);
      expect(numbers(returned)).toEqual([1, 1, 1]);
      expect(numbers(count.read()['n'])).toEqual([3, 3, 3]);
      count.dispose();
    });
  });

  test('several functions share them', () => {
    tf.tidy(() => {
      const program = compileProgram({
        variables: { total: { shape: [], dtype: 'float32' } },
        functions: {
          add: traceable({
            inputs: { x: { shape: [], dtype: 'float32' } },
            fn: ({ x }, { total }) => ({ outputs: {}, assign: { total: (total ?? x).add(x) } }),
          }),
          twice: traceable({
            inputs: {},
            fn: (_inputs, { total = tf.scalar(0) }) => ({ outputs: { value: total.mul(2) } }),
          }),
        },
      });
      program.write({ total: tf.scalar(1) });
      program.run('add', { x: tf.scalar(4) });
      expect(numbers(program.run('twice', {}).value)).toEqual([10]);
      program.dispose();
    });
  });

  test('of the wrong shape are refused, by assignment and by write', () => {
    const spec = { inputs: { x: vector }, variables: { v: { shape: [2], dtype: 'float32' } } } as const;
    expect(() => compile(({ x }) => ({ outputs: {}, assign: { v: x } }), spec)).toThrow(
      /assigns float32\[3\] to the variable v, which is float32\[2\]/,
    );
    expect(() => compile(({ x }) => ({ outputs: {}, assign: { w: x } }), spec)).toThrow(
      /assigns w, which is not among/,
    );
    const read = compile((_inputs, { v }) => ({ outputs: { v } }), { ...spec, inputs: {} });
    const wrong = tf.zeros([3]);
    expect(() => read.write({ v: wrong })).toThrow(/v is float32\[2\], the value given is float32\[3\]/);
    wrong.dispose();
    read.dispose();
  });
});

describe('shapes', () => {
  test('another shape compiles another graph over the same variables, up to a limit', () => {
    tf.tidy(() => {
      const program = compileProgram({
        variables: { w: tf.scalar(3) },
        functions: {
          scale: traceable({
            inputs: { x: { dtype: 'float32' } },
            fn: ({ x }, { w = x }) => ({ outputs: { y: x.mul(w) }, assign: { w: w.add(1) } }),
          }),
        },
        maxGraphs: 2,
        name: 'The scale',
      });
      expect(program.graphCount).toBe(0);
      expect(numbers(program.run('scale', { x: tf.ones([2]) }).y)).toEqual([3, 3]);
      expect(numbers(program.run('scale', { x: tf.ones([3]) }).y)).toEqual([4, 4, 4]);
      expect(numbers(program.run('scale', { x: tf.ones([2]) }).y)).toEqual([5, 5]);
      expect(program.graphCount).toBe(2);
      expect(() => program.run('scale', { x: tf.ones([4]) })).toThrow(
        /The scale holds 2 graphs already and scale would need another/,
      );
      program.dispose();
    });
  });

  test('another type, and a missing input, are refused', () => {
    const negate = compile(({ x }) => ({ outputs: { y: x.neg() } }), { inputs: { x: vector } });
    tf.tidy(() => {
      expect(() => negate({ x: tf.zeros([3], 'int32') })).toThrow(/call takes float32 as x, not int32/);
      expect(() => Reflect.apply(negate, undefined, [{}])).toThrow(/input x is missing/);
    });
    negate.dispose();
  });
});

describe('what cannot be traced', () => {
  const before = compile(({ x }) => ({ outputs: { y: x.neg() } }), { inputs: { x: vector } });
  afterAll(() => before.dispose());

  test.each([
    [
      'reading values',
      (x: Tensor) => tf.scalar(x.square().dataSync()[0] ?? 0),
      /values of a result .*Square.* are read/,
    ],
    [
      'a choice by values',
      (x: Tensor) => (x.sum().arraySync() === 0 ? x : x.neg()),
      /values of a result .*Sum.* are read/,
    ],
    ['reading values later', (x: Tensor) => readLater(x), /values of a tensor are read/],
    [
      'an operation that reads values',
      (x: Tensor) => tf.gather(x, x.cast('int32')),
      /values of a result .*Cast.* are read/,
    ],
    [
      'a shape that depends on values',
      (x: Tensor) => backend.executeSingleOutput('Where', [], [x]),
      /shape of the result of Where/,
    ],
    ['a mistake in shapes', (x: Tensor) => x.as2D(1, 3).matMul(x.as2D(1, 3)), /MatMul/],
    [
      'an attribute of an unknown kind',
      (x: Tensor) => backend.executeSingleOutput('Neg', [{ name: 'strange', type: 99, value: 1 }], [x]),
      /Neg has an attribute "strange"/,
    ],
    [
      'a call of another compiled function',
      (x: Tensor) => before({ x }).y,
      /a compiled function or SavedModel is called/,
    ],
  ])('%s: the error names what it is and the line that did it', (_name, fn, message) => {
    expect(traced(fn)).toThrow(message);
    expect(traced(fn)).toThrow(/compile\.test\.ts:\d+:\d+/);
  });

  test('a tensor from outside that was not declared, whether it was used before or not', () => {
    const fresh = tf.tensor1d([1, 2, 3]);
    const used = tf.tensor1d([1, 2, 3]);
    tf.dispose(used.add(1));
    for (const outside of [fresh, used]) {
      expect(traced((x) => x.add(outside))).toThrow(/made outside of the function.*compile\.test\.ts/);
      const sum = compile(({ x }) => ({ outputs: { y: x.add(outside) } }), {
        inputs: { x: vector },
        captured: [outside],
      });
      const { y } = sum({ x: outside });
      expect(numbers(y)).toEqual([2, 4, 6]);
      y.dispose();
      sum.dispose();
    }
    expect(numbers(fresh)).toEqual([1, 2, 3]);
    tf.dispose([fresh, used]);
  });

  test('an asynchronous function', () => {
    expect(() => compile(() => Object.assign(Promise.resolve(), { outputs: {} }), { inputs: {} })).toThrow(
      /asynchronous/,
    );
  });

  test('errors carry the code, and the engine works on afterwards', () => {
    const tensors = tf.memory().numTensors;
    expect(traced((x) => tf.scalar(x.dataSync()[0] ?? 0))).toThrow(ModelError);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(tf.tidy(() => numbers(tf.scalar(1).add(1)))).toEqual([2]);
  });
});

describe('what is left behind', () => {
  test('no tensors, no handles of the binding, no files', () => {
    // A folder of its own, since other tests may be compiling now.
    const folder = mkdtempSync(join(tmpdir(), 'millrace-left-'));
    vi.stubEnv('TMPDIR', folder);
    const x = tf.tensor1d([1, 2, 3]);
    tf.dispose(x.add(1));
    const before = { ...counts(), files: files() };
    const step = compile(
      ({ x: input }, { w }) => ({ outputs: { y: input.mul(w).square().sum() }, assign: { w: w.mul(2) } }),
      {
        inputs: { x: vector },
        variables: { w: vector },
      },
    );
    step.write({ w: x });
    for (let i = 0; i < 20; i++) tf.dispose(step({ x }));
    expect({ ...counts(), files: files() }).toEqual(before);
    step.dispose();
    expect(() => step({ x })).toThrow(/disposed/);
    x.dispose();
    vi.unstubAllEnvs();
    rmdirSync(folder);
  });

  test('the same call gives the same bits every time', () => {
    const product = compile(({ a }) => ({ outputs: { y: tf.softmax(a.matMul(a, false, true)).matMul(a) } }), {
      inputs: { a: { shape: [64, 48], dtype: 'float32' } },
    });
    tf.tidy(() => {
      const a = tf.randomNormal([64, 48], 0, 1, 'float32', 7);
      const first = numbers(product({ a }).y);
      for (let i = 0; i < 10; i++) expect(numbers(product({ a }).y)).toEqual(first);
    });
    product.dispose();
  });
});

function traced(fn: (x: Tensor) => Tensor): () => void {
  return () => compile(({ x }) => ({ outputs: { y: fn(x) } }), { inputs: { x: vector } }).dispose();
}

/** Without waiting for the values, or for why there are none. */
function readLater(x: Tensor): Tensor {
  x.data().catch(() => undefined);
  return x.neg();
}

function files(): number {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('millrace-graph-')).length;
}

function counts(): { tensors: number; handles: number } {
  return { tensors: tf.memory().numTensors, handles: tf.backend().numDataIds() };
}
