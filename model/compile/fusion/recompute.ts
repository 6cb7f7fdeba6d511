import { castNode } from '../build.ts';
import { DType, nodeOf, ref, sizeOf, type GraphNode, type Ref } from '../ir.ts';
import { GraphView, inOrder } from '../rewrite.ts';
import { bytesOf, isElementwise, isSource, readersOf, type Leveled } from './levels.ts';

/** Largest number of nodes that are computed again rather than stored. */
const MAX_NODES = 16;

/**
 * Computes values again at the levels where they are read, rather than storing them, where that reads no more bytes than
 * they have: activations in the backward pass from the matrix products that they came from. Where a rounded copy of a
 * value is stored for matrix products, readers at other levels read that copy.
 */
export function recompute(leveled: Leveled): Leveled {
  const { graph } = leveled;
  const view = new GraphView(graph);
  const planner = new Planner(view, leveled);
  const nodes = graph.nodes.flatMap((node) => {
    const level = leveled.levels.get(node.name);
    if (level === undefined) return [node];
    const inputs = node.inputs.map((input) => planner.inputFor(node, input, level));
    return [inputs.every((input, at) => input === node.inputs[at]) ? node : { ...node, inputs }];
  });
  return { graph: { ...graph, nodes: inOrder([...nodes, ...planner.added]) }, levels: planner.levels };
}

class Planner {
  readonly added: GraphNode[] = [];
  readonly levels: Map<string, number>;
  readonly #view: GraphView;
  readonly #leveled: Leveled;
  readonly #copies = new Map<string, Ref>();
  /** Values that some reader needs as they are, so that others may read them too. */
  readonly #stored = new Set<Ref>();

  constructor(view: GraphView, leveled: Leveled) {
    this.#view = view;
    this.#leveled = leveled;
    this.levels = new Map(leveled.levels);
  }

  /**
   * What a node of the level reads in the input's place. A single number is read as it is: copies of what leads to it
   * would tie all its readers together, see `fansOut`.
   */
  inputFor(reader: GraphNode, input: Ref, level: number): Ref {
    const own = this.#leveled.levels.get(nodeOf(input));
    if (own === undefined || own === level || sizeOf(this.#view.type(input).shape) === 1) return input;
    const narrow = this.#narrowCopy(input);
    if (narrow !== null && !SUMS.has(reader.op)) return this.#widened(input, narrow, level);
    if (narrow !== null || this.#isStored(input)) return input;
    const leaves = new Set<Ref>();
    const inner = new Set<string>();
    if (this.#expand(input, leaves, inner, bytesOf(input, this.#view) * (ALLOWANCE - 1))) {
      const read = [...leaves].reduce((bytes, leaf) => bytes + this.#storedBytes(leaf), 0);
      if (read <= ALLOWANCE * bytesOf(input, this.#view)) return this.#copyTo(input, inner, level);
    }
    this.#stored.add(input);
    return input;
  }

  /** Collects the nodes to compute again and the values that they start from; false when one of them is not to be had. */
  #expand(input: Ref, leaves: Set<Ref>, inner: Set<string>, smallBytes: number): boolean {
    const node = this.#view.producer(input);
    if (inner.has(node.name) || isSource(node)) return true;
    if (this.#isLeaf(input)) {
      leaves.add(input);
      return true;
    }
    if (isElementwise(node) && inner.size < MAX_NODES) {
      inner.add(node.name);
      if (node.inputs.every((before) => this.#expand(before, leaves, inner, smallBytes))) return true;
      inner.delete(node.name);
    }
    if (bytesOf(input, this.#view) > smallBytes) return false;
    leaves.add(input);
    return true;
  }

  #isLeaf(input: Ref): boolean {
    const node = this.#view.producer(input);
    return !this.#leveled.levels.has(node.name) || this.#isStored(input) || this.#narrowCopy(input) !== null;
  }

  /** Values that are in memory anyway, since some reader needs them as they are. */
  #isStored(input: Ref): boolean {
    return this.#stored.has(input) || readersOf(this.#view.producer(input), this.#view, this.#leveled).barrier;
  }

  #storedBytes(leaf: Ref): number {
    return bytesOf(this.#narrowCopy(leaf) ?? leaf, this.#view);
  }

  #narrowCopy(input: Ref): Ref | null {
    const cast = this.#view.consumers(nodeOf(input)).find((reader) => {
      const stored = readersOf(reader, this.#view, this.#leveled).barrier;
      return (
        reader.op === 'Cast' && reader.outputs[0]?.dtype === DType.bfloat16 && reader.inputs[0] === input && stored
      );
    });
    return cast === undefined ? null : ref(cast);
  }

  #widened(input: Ref, narrow: Ref, level: number): Ref {
    return this.#once(`${input.replace(':', '.')}/wide@${level}`, level, (name) =>
      castNode(name, narrow, { ...this.#view.type(input), dtype: DType.bfloat16 }, DType.float32),
    );
  }

  #copyTo(input: Ref, inner: ReadonlySet<string>, level: number): Ref {
    const node = this.#view.producer(input);
    if (!inner.has(node.name)) {
      const narrow = this.#leveled.levels.get(node.name) === undefined ? null : this.#narrowCopy(input);
      return narrow !== null && !this.#isStored(input) ? this.#widened(input, narrow, level) : input;
    }
    return this.#once(`${node.name}/again@${level}`, level, (name) => ({
      ...node,
      name,
      inputs: node.inputs.map((before) => this.#copyTo(before, inner, level)),
    }));
  }

  #once(name: string, level: number, make: (name: string) => GraphNode): Ref {
    const valid = name.replace('@', '.');
    const known = this.#copies.get(valid);
    if (known !== undefined) return known;
    const node = make(valid);
    this.added.push(node);
    this.levels.set(node.name, level);
    this.#copies.set(valid, ref(node));
    return ref(node);
  }
}

/** Bytes that may be read instead of each stored one; more than 1, so that a mean or the like per row is let in. */
const ALLOWANCE = 1.0625;

/** Sums read full precision: a residual stream rounded at every layer would lose what each adds. */
const SUMS: ReadonlySet<string> = new Set(['Add', 'AddN', 'AddV2']);
