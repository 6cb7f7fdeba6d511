import {
  binaryNode,
  floatConstant,
  intConstant,
  intValues,
  reductionNode,
  reshapeNodes,
  sliceNodes,
} from '../build.ts';
import { DType, sizeOf, type Graph, type GraphNode, type OutputType, type Ref } from '../ir.ts';
import { rewriteGraph, type Rebuilt } from '../rewrite.ts';

/**
 * Writes large sums, means and maxima as several steps that a compiler can vectorize. XLA keeps to the order of a sum, so a
 * long one is computed entry after entry, each waiting for the one before. Here 16 stretches of the entries are added up
 * side by side first, and then halves of what remains: the order is another one, but just as fixed, and
 * rounds less.
 */
export function splitReductions(graph: Graph): Graph {
  return rewriteGraph(graph, (node, rebuilt) => {
    const [input, axes] = node.inputs;
    const [type] = node.outputs;
    const combine = COMBINED_BY.get(node.op);
    if (combine === undefined || input === undefined || axes === undefined || type?.dtype !== DType.float32)
      return node;
    const { shape } = rebuilt.type(input);
    const parts = partsOf(shape, intValues(rebuilt.producer(axes)));
    if (parts === null || parts.length < SHORTEST || sizeOf(shape) < SMALLEST) return node;
    return new Splitter(node, rebuilt, combine).run(input, parts, type);
  });
}

/** Sums and the like of fewer entries than this, and of smaller tensors than this, stay as they are. */
const SHORTEST = 16;
const SMALLEST = 4_096;

/** Stretches that are reduced side by side: few enough for a compiler to write them all out. */
const STRETCHES = 16;
/** Lengths of this or more are cut into stretches, shorter ones into halves. */
const CUT_FROM = 128;
/** Longest stretch: the entries that are read side by side then lie close to one another in memory. */
const LANES = 256;

const COMBINED_BY: ReadonlyMap<string, string> = new Map([
  ['Max', 'Maximum'],
  ['Mean', 'AddV2'],
  ['Sum', 'AddV2'],
]);

/** A shape with one reduced axis: what stands before it, its length, and what stands behind it. */
interface Parts {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
}

/** The shape seen as three axes of which the middle one is reduced; null where the reduced axes are not neighbours. */
function partsOf(shape: readonly number[], axes: readonly number[] | null): Parts | null {
  if (axes === null || axes.length === 0) return null;
  const reduced = new Set(axes.map((axis) => (axis < 0 ? axis + shape.length : axis)));
  const first = Math.min(...reduced);
  const behind = first + reduced.size;
  if (Math.max(...reduced) + 1 !== behind) return null;
  const size = (from: number, to?: number): number => sizeOf(shape.slice(from, to));
  return { outer: size(0, first), length: size(first, behind), inner: size(behind) };
}

class Splitter {
  readonly #node: GraphNode;
  readonly #rebuilt: Rebuilt;
  readonly #combine: string;
  #names = 0;

  constructor(node: GraphNode, rebuilt: Rebuilt, combine: string) {
    this.#node = node;
    this.#rebuilt = rebuilt;
    this.#combine = combine;
  }

  run(input: Ref, { outer, length, inner }: Parts, type: OutputType): readonly Ref[] {
    let value = input;
    let left = length;
    for (let lanes = lanesOf(left, inner); lanes > 0; lanes = inner > 1 ? 0 : lanesOf(left, inner)) {
      left /= STRETCHES;
      const blocks = (outer * left * inner) / lanes;
      value = this.#reduce(this.#reshape(value, [blocks, STRETCHES, lanes]), [blocks, lanes]);
    }
    value = this.#reshape(value, [outer, left, inner]);
    for (; left % 2 === 0; left /= 2) value = this.#halve(value, [outer, left / 2, inner]);
    if (left > 1) value = this.#reduce(value, [outer, inner]);
    if (this.#node.op === 'Mean') value = this.#scale(value, 1 / length);
    return [this.#reshape(value, type.shape)];
  }

  /** Reduces the second axis. */
  #reduce(value: Ref, shape: readonly number[]): Ref {
    const axis = this.#rebuilt.add(intConstant(this.#name('axis'), [1]));
    const op = this.#node.op === 'Mean' ? 'Sum' : this.#node.op;
    return this.#rebuilt.add(reductionNode(this.#name('part'), op, [value, axis], float(shape), false));
  }

  #halve(value: Ref, shape: readonly [number, number, number]): Ref {
    const inputs = [0, shape[1]].map((from) => {
      const [begin, size, half] = sliceNodes(this.#name('half'), value, float(shape), [0, from, 0]);
      this.#rebuilt.add(begin);
      this.#rebuilt.add(size);
      return this.#rebuilt.add(half);
    });
    return this.#rebuilt.add(binaryNode(this.#name('both'), this.#combine, inputs, float(shape)));
  }

  #scale(value: Ref, factor: number): Ref {
    const constant = this.#rebuilt.add(floatConstant(this.#name('factor'), factor));
    return this.#rebuilt.add(binaryNode(this.#name('mean'), 'Mul', [value, constant], this.#rebuilt.type(value)));
  }

  #reshape(value: Ref, shape: readonly number[]): Ref {
    const [constant, node] = reshapeNodes(this.#name('shaped'), value, this.#rebuilt.type(value), shape);
    this.#rebuilt.add(constant);
    return this.#rebuilt.add(node);
  }

  #name(what: string): string {
    return `${this.#node.name}/${what}_${this.#names++}`;
  }
}

/** How long the stretches are that a length is cut into; 0 where it is not to be cut. Rows of a matrix stay whole. */
function lanesOf(length: number, inner: number): number {
  if (length < CUT_FROM || length % STRETCHES !== 0) return 0;
  if (inner > 1) return inner;
  const lanes = Math.min(LANES, length / STRETCHES);
  return (length / STRETCHES) % lanes === 0 ? lanes : 0;
}

function float(shape: readonly number[]): OutputType {
  return { dtype: DType.float32, shape };
}
