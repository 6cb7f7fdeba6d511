import { ModelError } from '../errors.ts';
import { binding, type TensorMetadata, type TFEOpAttr, type Values } from './engine.ts';
import { DType, sizeOf, type OutputType } from './ir.ts';

/** A tensor of a trace: its type, and its values where they follow from constants alone. */
export interface DryTensor {
  readonly type: OutputType;
  /** Handle of the real tensor that holds the values, or null when they are not known before the graph runs. */
  readonly known: number | null;
}

/**
 * Runs operations for their outputs' shapes and types only. Inputs whose values are not known stand in as zeros and every
 * result is freed at once, so a trace needs the memory of a single operation, whatever the size of the model. Values that
 * follow from constants are kept while they are small: shapes, axes and permutations are among them.
 */
export class DryRun {
  readonly #kept = new Set<number>();
  #zeros = new Map<DType, Float32Array | Int32Array | Uint8Array>();

  constant(type: OutputType, values: Values): DryTensor {
    return { type, known: this.#keep(binding.createTensor([...type.shape], type.dtype, values)) };
  }

  run(op: string, attributes: TFEOpAttr[], inputs: readonly DryTensor[], outputCount: number): readonly DryTensor[] {
    checkShapesAreKnown(op, inputs);
    const borrowed: number[] = [];
    const handles = inputs.map((input, at) => {
      if (input.known !== null) return input.known;
      const handle = this.#zerosOf(input.type, at === 1 && DIVISIONS.has(op) ? 1 : 0);
      borrowed.push(handle);
      return handle;
    });
    try {
      const outputs = binding.executeOp(op, attributes, handles, outputCount);
      const follows = borrowed.length === 0 && !op.startsWith('Random') && op !== 'Multinomial';
      return outputs.map((output) => this.#resultOf(output, follows));
    } finally {
      for (const handle of borrowed) binding.deleteTensor(handle);
    }
  }

  #resultOf({ id, dtype, shape }: TensorMetadata, follows: boolean): DryTensor {
    const keep = follows && sizeOf(shape) <= KNOWN_SIZE_LIMIT;
    if (!keep) binding.deleteTensor(id);
    return { type: { dtype, shape }, known: keep ? this.#keep(id) : null };
  }

  #keep(handle: number): number {
    this.#kept.add(handle);
    return handle;
  }

  #zerosOf({ dtype, shape }: OutputType, fill: number): number {
    if (dtype === DType.complex64) return this.#complexZeros(shape);
    const size = sizeOf(shape);
    if (fill !== 0) return binding.createTensor([...shape], dtype, zeroArray(dtype, size).fill(fill));
    let zeros = this.#zeros.get(dtype);
    if (zeros === undefined || zeros.length < size) {
      zeros = zeroArray(dtype, size);
      this.#zeros.set(dtype, zeros);
    }
    return binding.createTensor([...shape], dtype, zeros.subarray(0, size));
  }

  /** The binding makes no complex tensors of its own. */
  #complexZeros(shape: readonly number[]): number {
    const part = this.#zerosOf({ dtype: DType.float32, shape }, 0);
    const attributes = [
      { name: 'T', type: binding.TF_ATTR_TYPE, value: DType.float32 },
      { name: 'Tout', type: binding.TF_ATTR_TYPE, value: DType.complex64 },
    ];
    const [complex] = binding.executeOp('Complex', attributes, [part, part], 1);
    binding.deleteTensor(part);
    if (complex === undefined) throw new RangeError('Complex gave no output');
    return complex.id;
  }

  dispose(): void {
    for (const handle of this.#kept) binding.deleteTensor(handle);
    this.#kept.clear();
    this.#zeros = new Map();
  }
}

function zeroArray(dtype: DType, size: number): Float32Array | Int32Array | Uint8Array {
  if (dtype === DType.float32) return new Float32Array(size);
  if (dtype === DType.int32) return new Int32Array(size);
  if (dtype === DType.bool) return new Uint8Array(size);
  throw new ModelError(
    'trace-failed',
    `A tensor of TensorFlow's type ${dtype} can only be traced where its values are constant.`,
  );
}

function checkShapesAreKnown(op: string, inputs: readonly DryTensor[]): void {
  const places = SHAPING_INPUTS[op];
  if (places === undefined) return;
  if (places === 'all' ? inputs.every(isKnown) : places.every((place) => isKnown(inputs.at(place)))) return;
  throw new ModelError(
    'trace-failed',
    `The shape of the result of ${op} depends on values that only a run of the graph will know. Graphs have static shapes.`,
  );
}

function isKnown(tensor: DryTensor | undefined): boolean {
  return tensor === undefined || tensor.known !== null;
}

const KNOWN_SIZE_LIMIT = 65_536;

/** Integer division by a zero stand-in would be an error that the graph does not have. */
const DIVISIONS: ReadonlySet<string> = new Set(['Div', 'FloorDiv', 'FloorMod', 'Mod', 'RealDiv', 'TruncateDiv']);

/** Inputs, by place, whose values decide the shape of the output. */
const SHAPING_INPUTS: Readonly<Record<string, readonly number[] | 'all'>> = {
  All: [1],
  Any: [1],
  ArgMax: [1],
  ArgMin: [1],
  BatchToSpaceND: [1, 2],
  Bincount: [1],
  BroadcastTo: [1],
  ConcatV2: [-1],
  Conv2DBackpropFilter: [1],
  Conv2DBackpropInput: [0],
  ExpandDims: [1],
  Fill: [0],
  GatherV2: [2],
  LinSpace: [2],
  Max: [1],
  Mean: [1],
  Min: [1],
  MirrorPad: [1],
  NonMaxSuppressionV3: 'all',
  OneHot: [1],
  Pad: [1],
  PadV2: [1],
  Prod: [1],
  Range: 'all',
  Reshape: [1],
  ResizeBilinear: [1],
  ResizeNearestNeighbor: [1],
  ScatterNd: [2],
  Slice: [2],
  SpaceToBatchND: [1, 2],
  SparseToDense: [1],
  Split: [0],
  SplitV: [1, 2],
  StridedSlice: [1, 2, 3],
  Sum: [1],
  Tile: [1],
  TopKV2: [1],
  Transpose: [1],
  Unique: 'all',
  UniqueV2: 'all',
  UnsortedSegmentSum: [2],
  Where: 'all',
};
