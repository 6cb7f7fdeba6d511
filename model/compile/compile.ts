import type { Tensor } from '@tensorflow/tfjs-node';
import type { TensorSpec } from './engine.ts';
import { Program, type FunctionSpec, type InputSpec, type ProgramOptions, type ProgramSpec } from './program.ts';
import type { Tensors, Traced } from './trace.ts';

export interface CompileSpec<I extends string, V extends string> extends ProgramOptions {
  readonly inputs: Readonly<Record<I, InputSpec>>;
  /** Outputs that are given as bfloat16, as a `packed` input takes them; their last axis is even. */
  readonly packedOutputs?: readonly string[];
  /** Variables by name: a tensor gives the first value as well as the type, and stays the caller's. */
  readonly variables?: Readonly<Record<V, TensorSpec | Tensor>>;
}

/** A compiled function: called like the one it was made of, on tensors, giving tensors that belong to the caller. */
export interface Compiled<I extends string, O extends string, V extends string = string> {
  (inputs: Tensors<I>): Record<O, Tensor>;
  /** Values of variables, all of them when none is named. */
  read(names?: readonly V[]): Record<V, Tensor>;
  write(values: { readonly [K in V]?: Tensor }): void;
  dispose(): void;
}

/**
 * tf.function for tfjs-node: traces a function into one TensorFlow graph, gradients included, and returns a callable that
 * runs it as a single call. For several functions over the same variables see `compileProgram`.
 *
 * @example
 * const step = compile(({ x }, { w }) => ({ outputs: { y: x.mul(w) }, assign: { w: w.add(1) } }), {
 *   inputs: { x: { shape: [3], dtype: 'float32' } },
 *   variables: { w: tf.scalar(2) },
 * });
 * const { y } = step({ x: tf.tensor1d([1, 2, 3]) });
 */
export function compile<I extends string, O extends string, V extends string = never>(
  fn: (inputs: Tensors<I>, variables: Tensors<V>) => Traced<O>,
  spec: CompileSpec<I, V>,
): Compiled<I, O, V> {
  const { inputs, packedOutputs, variables, ...options } = spec;
  const call: FunctionSpec<I, O, V> = { inputs, packedOutputs, fn };
  const programSpec: ProgramSpec<{ call: FunctionSpec<I, O> }> = {
    ...options,
    variables: variables ?? {},
    functions: { call },
  };
  const program = new Program(programSpec);
  return Object.assign((given: Tensors<I>) => program.run('call', given), {
    read: (names?: readonly V[]): Record<V, Tensor> => Object.assign({}, program.read(names)),
    write: (values: { readonly [K in V]?: Tensor }) => program.write(values),
    dispose: () => program.dispose(),
  });
}
