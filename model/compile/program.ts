import type { Tensor } from '@tensorflow/tfjs-node';
import { ModelError } from '../errors.ts';
import { tf } from '../tf.ts';
import type { TensorSpec } from './engine.ts';
import type { GraphNode } from './ir.ts';
import { optimize, type OptimizeOptions } from './optimize.ts';
import { packOutputs } from './passes/pack-outputs.ts';
import { unpackedShape, unpackInputs } from './passes/unpack-inputs.ts';
import { Session } from './session.ts';
import { describe } from './nodes.ts';
import { trace, type Specs, type Traced, type TracedFunction, type Tensors } from './trace.ts';
import { VariableAccess } from './variables.ts';

/** Type of an input. Without a shape, the function is compiled when it is first called. */
export type InputSpec = Pick<TensorSpec, 'dtype'> &
  Partial<TensorSpec> & {
    /** A float32 that is fed as bfloat16, two numbers to an int32 of half as many columns. */
    readonly packed?: boolean;
  };

/** A function to compile, and what its inputs are. Other shapes of the inputs compile further graphs when they come. */
export interface FunctionSpec<I extends string, O extends string, V extends string = string> {
  readonly inputs: Readonly<Record<I, InputSpec>>;
  /** Outputs that are given as bfloat16, as a `packed` input takes them; their last axis is even. */
  readonly packedOutputs?: readonly string[] | undefined;
  /** Must be synchronous and may use tfjs's gradients. Random numbers that tfjs draws in JavaScript become constants. */
  fn(inputs: Tensors<I>, variables: Tensors<V>): Traced<O>;
}

export type FunctionSpecs = Readonly<Record<string, FunctionSpec<string, string>>>;
export type InputsOf<S> = S extends FunctionSpec<infer I, string> ? Tensors<I> : never;
export type OutputsOf<S> = S extends FunctionSpec<string, infer O> ? Record<O, Tensor> : never;

export interface ProgramOptions extends OptimizeOptions {
  /** Used in messages. */
  readonly name?: string;
  /** Tensors from outside whose values the functions may use as constants. */
  readonly captured?: readonly Tensor[];
  /** How many graphs the program may hold: one for every function and set of input shapes. */
  readonly maxGraphs?: number;
}

export interface ProgramSpec<F extends FunctionSpecs> extends ProgramOptions {
  /** Variables by name: a tensor gives the first value as well as the type, and stays the caller's. */
  readonly variables: Readonly<Record<string, TensorSpec | Tensor>>;
  readonly functions: F;
}

/** Gives the types of a function's inputs and outputs to the program that it is put into. */
export function traceable<I extends string, O extends string>(spec: FunctionSpec<I, O>): FunctionSpec<I, O> {
  return spec;
}

/** Compiles functions over one set of variables into one TensorFlow session. */
export function compileProgram<F extends FunctionSpecs>(spec: ProgramSpec<F>): Program<F> {
  return new Program(spec);
}

/**
 * Functions that share variables. Each call of a function is one call into TensorFlow. Variables keep their values between
 * calls; what a call assigns, it assigns all at once when everything else of the call is done.
 */
export class Program<F extends FunctionSpecs> {
  readonly #spec: ProgramSpec<F>;
  readonly #variables: Specs;
  readonly #access: VariableAccess;
  readonly #compiled = new Map<string, TracedFunction>();
  #session: Session | undefined;

  constructor(spec: ProgramSpec<F>) {
    this.#spec = spec;
    this.#variables = Object.fromEntries(
      Object.entries(spec.variables).map(([name, { shape, dtype }]) => [name, { shape, dtype }]),
    );
    this.#access = new VariableAccess(this.#variables);
    for (const [name, { inputs }] of Object.entries(spec.functions)) {
      if (haveShapes(inputs)) this.#compile(name, inputs);
    }
    this.#session = this.#load();
    this.write(
      Object.fromEntries(
        Object.entries(spec.variables).flatMap(([name, v]) => (v instanceof tf.Tensor ? [[name, v]] : [])),
      ),
    );
  }

  /** Names of the variables. */
  get variableNames(): readonly string[] {
    return Object.keys(this.#variables);
  }

  /** Graphs compiled so far. */
  get graphCount(): number {
    return this.#compiled.size;
  }

  /** Calls a function. The results belong to the caller. */
  run<K extends keyof F & string>(name: K, inputs: InputsOf<F[K]>): OutputsOf<F[K]> {
    const given: Tensors = inputs;
    const { feeds, fetches, done } = this.#graphFor(name, given);
    const names = [...fetches.keys()];
    const fed = [...feeds].map(([input, placeholder]) => [placeholder, tensorNamed(given, input)] as const);
    const tensors = this.#open().run(fed, names.length > 0 ? [...fetches.values()] : [done]);
    if (names.length === 0) tf.dispose(tensors);
    return Object.assign({}, ...names.map((output, at) => ({ [output]: tensors[at] })));
  }

  /** Values of variables, all of them when none is named, as tensors that belong to the caller. */
  read(names: readonly string[] = this.variableNames): Record<string, Tensor> {
    return this.#access.read(this.#open(), names);
  }

  /** Sets variables. */
  write(values: Partial<Tensors>): void {
    this.#access.write(this.#open(), values);
  }

  /** Frees graphs and variables. */
  dispose(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#compiled.clear();
  }

  #graphFor(name: string, given: Tensors): TracedFunction {
    const spec = this.#spec.functions[name];
    if (spec === undefined) throw new ModelError('input-invalid', `The program has no function ${name}.`);
    const inputs = Object.entries(spec.inputs).map(([input, { dtype, packed }]): [string, TensorSpec] => {
      const tensor = tensorNamed(given, input);
      if (packed && tensor.dtype === 'int32') return [input, { shape: unpackedShape(tensor.shape), dtype }];
      if (!packed && tensor.dtype === dtype) return [input, { shape: tensor.shape, dtype }];
      throw new ModelError(
        'input-invalid',
        `${name} takes ${packed ? 'packed int32' : dtype} as ${input}, not ${tensor.dtype}. Cast it before the call.`,
      );
    });
    const key = keyOf(name, Object.fromEntries(inputs));
    return this.#compiled.get(key) ?? this.#specialize(name, Object.fromEntries(inputs));
  }

  /** A graph for further shapes. TensorFlow cannot add to a loaded graph, so all are loaded anew and the variables move over. */
  #specialize(name: string, inputs: Specs): TracedFunction {
    const old = this.#open();
    const compiled = this.#compile(name, inputs);
    const values = this.#access.read(old, this.variableNames);
    try {
      const session = this.#load();
      this.#access.write(session, values);
      this.#session = session;
      old.close();
    } finally {
      tf.dispose(values);
    }
    return compiled;
  }

  #compile(name: string, inputs: Specs): TracedFunction {
    const { functions, captured = [], maxGraphs = 8, name: program = 'program' } = this.#spec;
    const fn = functions[name];
    if (fn === undefined) throw new ModelError('input-invalid', `The program has no function ${name}.`);
    if (this.#compiled.size >= maxGraphs) {
      const shapes = Object.entries(inputs).map(([input, spec]) => `${input} ${describe(spec)}`);
      throw new ModelError(
        'trace-failed',
        `${program} holds ${maxGraphs} graphs already and ${name} would need another for ${shapes.join(', ')}. ` +
          'Pad inputs to fewer shapes, or raise maxGraphs.',
      );
    }
    const request = { name: `${name}.${this.#compiled.size}`, inputs, variables: this.#variables, captured };
    const traced = trace({ ...request, fn: (tensors, variables) => fn.fn(tensors, variables) });
    const packed = Object.entries(fn.inputs).flatMap(([input, spec]) => (spec.packed ? [input] : []));
    const unpacked = unpackInputs(traced.graph, new Set(packed.map((input) => traced.feeds.get(input))));
    const graph = packOutputs(unpacked, new Set(fn.packedOutputs?.map((output) => traced.fetches.get(output))));
    const compiled = { ...traced, graph: optimize(graph, this.#spec) };
    this.#compiled.set(keyOf(name, inputs), compiled);
    return compiled;
  }

  #load(): Session {
    const nodes: GraphNode[] = [...this.#access.nodes];
    for (const { graph } of this.#compiled.values()) nodes.push(...graph.nodes);
    return new Session(nodes);
  }

  #open(): Session {
    if (this.#session !== undefined) return this.#session;
    throw new ModelError('input-invalid', `${this.#spec.name ?? 'The program'} was disposed.`);
  }
}

function haveShapes(inputs: Readonly<Record<string, InputSpec>>): inputs is Specs {
  return Object.values(inputs).every(({ shape }) => shape !== undefined);
}

function tensorNamed(tensors: Tensors, name: string): Tensor {
  const tensor = tensors[name];
  if (tensor === undefined) throw new ModelError('input-invalid', `The input ${name} is missing.`);
  return tensor;
}

function keyOf(name: string, inputs: Specs): string {
  return [name, ...Object.entries(inputs).map(([input, { shape }]) => `${input}:${shape.join('x')}`)].join(' ');
}
