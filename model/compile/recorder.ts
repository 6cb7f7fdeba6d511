import type { Tensor } from '@tensorflow/tfjs-node';
import { ModelError } from '../errors.ts';
import { completeAttributes, readAttributes } from './attributes.ts';
import { callerLine } from './caller.ts';
import { DryRun, type DryTensor } from './dry-run.ts';
import {
  binding,
  handleOf,
  tensorOf,
  type StandIn,
  type TensorMetadata,
  type TFEOpAttr,
  type TFJSBinding,
  type Values,
} from './engine.ts';
import { DType, ref, sizeOf, type GraphNode, type Ref } from './ir.ts';
import { inferOutputs } from './shapes.ts';

interface Recorded extends DryTensor {
  readonly ref: Ref;
}

/**
 * Stands in for tfjs-node's binding and writes down what tfjs asks of it. Nothing is computed: see `DryRun`. Handles that
 * it gives out lie far above those of the real binding, so a tensor from outside the trace is known by its handle.
 */
export class Recorder implements StandIn {
  readonly binding: TFJSBinding;
  readonly nodes: GraphNode[] = [];
  readonly #prefix: string;
  readonly #dryRun = new DryRun();
  readonly #tensors = new Map<number, Recorded>();
  readonly #written = new WeakSet<object>();
  #nextHandle = FIRST_HANDLE;
  /** Why the trace is of no use, where that came up in a promise that nobody may wait for. */
  #readLater: ModelError | undefined;

  constructor(prefix: string) {
    this.#prefix = prefix;
    const original = binding;
    this.binding = {
      ...constantsOf(original),
      createTensor: (shape, dtype, values) => this.#createTensor(shape, dtype, values),
      deleteTensor: (handle) => (handle < FIRST_HANDLE ? original.deleteTensor(handle) : undefined),
      tensorDataSync: (handle) => this.#read(handle),
      executeOp: (op, attributes, inputs, outputCount) => this.#execute(op, attributes, inputs, outputCount),
      loadSavedModel: () => refuse('a SavedModel is loaded'),
      deleteSavedModel: () => refuse('a SavedModel is deleted'),
      runSavedModel: () => refuse('a compiled function or SavedModel is called'),
      getNumOfSavedModels: () => original.getNumOfSavedModels(),
      getNumOfTensors: () => original.getNumOfTensors(),
      isUsingGpuDevice: () => original.isUsingGpuDevice(),
    };
  }

  /** Adds a node that tfjs knows nothing of, and gives its first output as a tensor. */
  introduce(node: GraphNode): Tensor {
    this.nodes.push(node);
    const [type] = node.outputs;
    if (type === undefined) throw new RangeError(`${node.name} has no output`);
    return tensorOf(this.#hand({ type, known: null, ref: ref(node) }));
  }

  /** Makes the values of a tensor from outside a constant of the graph. Call before the trace begins. */
  capture(tensor: Tensor): void {
    const handle = handleOf(tensor);
    const values = binding.tensorDataSync(handle);
    const type = { dtype: dtypeOfValues(values, tensor), shape: tensor.shape };
    this.#tensors.set(handle, { type, known: handle, ref: this.#addConstant(type.dtype, type.shape, values) });
  }

  /** What a tensor is in the graph. */
  find(tensor: Tensor): Recorded {
    return this.#recorded(handleOf(tensor));
  }

  wrote(values: Values): void {
    this.#written.add(values);
  }

  readAsync(): never {
    this.#readLater ??= refusal('values of a tensor are read, by data, array or print');
    throw this.#readLater;
  }

  /** Throws if the function has asked for values that come later. */
  requireNothingRead(): void {
    if (this.#readLater !== undefined) throw this.#readLater;
  }

  dispose(): void {
    this.#dryRun.dispose();
  }

  #createTensor(shape: number[], dtype: number, values: Values): number {
    if (dtype !== DType.int64 && !this.#written.has(values)) return refuse(OUTSIDE);
    const type = { dtype, shape: [...shape] };
    return this.#hand({ ...this.#dryRun.constant(type, values), ref: this.#addConstant(dtype, shape, values) }).id;
  }

  #addConstant(dtype: number, shape: readonly number[], values: Values): Ref {
    if (!ArrayBuffer.isView(values)) return refuse('a constant of strings or plain numbers is made');
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
    const type = { dtype, shape: [...shape] };
    const node: GraphNode = {
      name: this.#name('Const'),
      op: 'Const',
      inputs: [],
      attributes: { dtype: { kind: 'type', value: dtype }, value: { kind: 'tensor', value: { ...type, bytes } } },
      outputs: [type],
    };
    this.nodes.push(node);
    return ref(node);
  }

  #execute(op: string, attributes: TFEOpAttr[], handles: number[], outputCount: number): TensorMetadata[] {
    const inputs = handles.map((handle) => this.#recorded(handle));
    const types = inputs.map(({ type }) => type);
    const read = readAttributes(op, attributes);
    const inferred = inputs.every(({ known }) => known !== null)
      ? null
      : inferOutputs(op, { attributes: read, inputs: types, values: (at) => integersOf(inputs[at]) });
    const outputs = inferred?.map((type) => ({ type, known: null })) ?? this.#run(op, attributes, inputs, outputCount);
    const outputTypes = outputs.map(({ type }) => type);
    const folded: readonly (Recorded | null)[] = outputs.map((output) => this.#fold(output));
    if (isComplete(folded)) return folded.map((output) => this.#hand(output));
    const node: GraphNode = {
      name: this.#name(op),
      op,
      inputs: inputs.map((input) => input.ref),
      attributes: completeAttributes(op, read, types, outputTypes),
      outputs: outputTypes,
    };
    this.nodes.push(node);
    return outputs.map((output, index) => this.#hand({ ...output, ref: ref(node, index) }));
  }

  /** A constant in place of an operation whose result is known: what never changes is not computed at every call. */
  #fold({ type, known }: DryTensor): Recorded | null {
    if (known === null || !FOLDED_TYPES.has(type.dtype) || sizeOf(type.shape) > FOLDED_SIZE_LIMIT) return null;
    return { type, known, ref: this.#addConstant(type.dtype, type.shape, binding.tensorDataSync(known)) };
  }

  #run(op: string, attributes: TFEOpAttr[], inputs: readonly DryTensor[], outputCount: number): readonly DryTensor[] {
    try {
      return this.#dryRun.run(op, attributes, inputs, outputCount);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ModelError('trace-failed', `${op} cannot be traced, called at ${callerLine()}: ${reason}`, { cause });
    }
  }

  #read(handle: number): Float32Array | Int32Array | Uint8Array {
    const tensor = this.#recorded(handle);
    if (tensor.known !== null) return binding.tensorDataSync(tensor.known);
    return refuse(
      `values of a result (${tensor.ref}) are read, by dataSync, arraySync or an operation that checks them`,
    );
  }

  #recorded(handle: number): Recorded {
    return this.#tensors.get(handle) ?? refuse(OUTSIDE);
  }

  #hand(tensor: Recorded): TensorMetadata {
    const id = this.#nextHandle++;
    this.#tensors.set(id, tensor);
    return { id, dtype: tensor.type.dtype, shape: [...tensor.type.shape] };
  }

  #name(op: string): string {
    return `${this.#prefix}${op.replace(/^_/, '')}_${this.nodes.length}`;
  }
}

const FIRST_HANDLE = 2 ** 40;

/** Larger constants would rather be computed again than read from memory, and would swell the graph. */
const FOLDED_SIZE_LIMIT = 65_536;

const FOLDED_TYPES: ReadonlySet<DType> = new Set([DType.float32, DType.int32, DType.bool]);

const OUTSIDE =
  'a tensor is used that was made outside of the function. Pass it as an input or a variable, or declare it in `captured` to bake in its values';

function refuse(what: string): never {
  throw refusal(what);
}

function refusal(what: string): ModelError {
  return new ModelError('trace-failed', `While a function was traced, ${what}. This happened at ${callerLine()}.`);
}

function integersOf(tensor: DryTensor | undefined): readonly number[] | null {
  if (tensor === undefined || tensor.known === null || tensor.type.dtype !== DType.int32) return null;
  return Array.from(binding.tensorDataSync(tensor.known));
}

/** The binding's numbers. Its members cannot be written to, hence the copy. */
function constantsOf(original: TFJSBinding): TFJSBinding {
  const names = Object.getOwnPropertyNames(original);
  return Object.assign(
    Object.create(null),
    Object.fromEntries(names.map((name) => [name, Reflect.get(original, name)])),
  );
}

function dtypeOfValues(values: Values, tensor: Tensor): number {
  if (values instanceof Float32Array && tensor.dtype === 'float32') return DType.float32;
  if (values instanceof Int32Array) return DType.int32;
  if (values instanceof Uint8Array) return DType.bool;
  throw new ModelError('trace-failed', `A tensor of type ${tensor.dtype} cannot be captured as a constant.`);
}

function isComplete(folded: readonly (Recorded | null)[]): folded is readonly Recorded[] {
  return folded.every((output) => output !== null);
}
