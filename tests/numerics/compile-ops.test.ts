import type { Tensor } from '@tensorflow/tfjs-node';
import { expect, test } from 'vitest';
import { compile } from '../../model/compile/index.ts';
import { tf } from '../../model/tf.ts';
import { moreOpCases } from './compile-more-ops.cases.ts';
import { opCases, type OpCase } from './compile-ops.cases.ts';

/** Largest difference allowed, relative to the largest value: what another order of summation makes of float32. */
const TOLERANCE = 2e-6;

test.each([...opCases(), ...moreOpCases()].map((opCase) => [opCase.name, opCase] as const))(
  '%s, compiled, equals eager',
  (_name, opCase) => {
    const tensorsBefore = tf.memory().numTensors;
    expect(differences(opCase)).toEqual([]);
    expect(tf.memory().numTensors).toBe(tensorsBefore);
  },
);

/** What differs between a run op by op and a run of the compiled graph, in words. */
function differences(opCase: OpCase): readonly string[] {
  const inputs = inputsOf(opCase);
  const named = Object.fromEntries(inputs.map((input, at) => [`x${at}`, input]));
  const compiled = compile((tensors) => ({ outputs: evaluate(opCase, Object.values(tensors)) }), {
    inputs: named,
  });
  const found: string[] = [];
  tf.tidy(() => {
    const actual = compiled(named);
    for (const [name, expected] of Object.entries(evaluate(opCase, inputs))) {
      const difference = compare(actual[name], expected);
      if (difference !== null) found.push(`${name}: ${difference}`);
    }
  });
  compiled.dispose();
  tf.dispose(inputs);
  return found;
}

/** The operation's value and, through a sum that weighs every entry differently, its gradients. */
function evaluate({ fn, differentiable }: OpCase, inputs: Tensor[]): Record<string, Tensor> {
  const value = fn(...inputs);
  if (!differentiable) return { value };
  const gradients = tf.grads((...tensors: Tensor[]) => weigh(fn(...tensors)))(inputs);
  return { value, ...Object.fromEntries(gradients.map((gradient, at) => [`gradient ${at}`, gradient])) };
}

function weigh(y: Tensor): Tensor {
  return y
    .mul(
      tf
        .range(1, y.size + 1)
        .div(y.size)
        .reshape(y.shape),
    )
    .sum();
}

function inputsOf({ shapes, values, name }: OpCase): Tensor[] {
  return shapes.map((shape, at) => {
    const seed = name.length * 7 + at + 1;
    if (values === 'int') return tf.randomUniform([...shape], 1, 9, 'int32', seed);
    if (values === 'positive') return tf.randomUniform([...shape], 0.3, 2, 'float32', seed);
    if (values === 'unit') return tf.randomUniform([...shape], -0.9, 0.9, 'float32', seed);
    if (values === 'above-one') return tf.randomUniform([...shape], 1.1, 3, 'float32', seed);
    return tf.randomNormal([...shape], 0, 1, 'float32', seed);
  });
}

function compare(actual: Tensor | undefined, expected: Tensor): string | null {
  if (actual === undefined) return 'is missing';
  const types = [actual, expected].map(({ dtype, shape }) => `${dtype}[${shape.join()}]`);
  if (types[0] !== types[1]) return `is ${types[0]}, not ${types[1]}`;
  const [got, wanted] = [Array.from(actual.dataSync()), Array.from(expected.dataSync())];
  const scale = Math.max(1, ...wanted.map(Math.abs).filter(Number.isFinite));
  const at = wanted.findIndex((value, index) => !isClose(got[index] ?? Number.NaN, value, scale));
  return at < 0 ? null : `[${at}] is ${got[at]}, not ${wanted[at]}`;
}

function isClose(a: number, b: number, scale: number): boolean {
  return Number.isFinite(b) ? Math.abs(a - b) <= TOLERANCE * scale : Object.is(a, b);
}
