import { castNode, intConstant, reshapeNodes, transposeNodes } from '../../model/compile/build.ts';
import {
  DType,
  ref,
  typeAttribute,
  type Attribute,
  type Graph,
  type GraphNode,
  type Ref,
} from '../../model/compile/ir.ts';

/** Builds small graphs for tests of passes. */
export class GraphBuilder {
  readonly #nodes: GraphNode[] = [];
  readonly #results: string[] = [];

  input(name: string, shape: readonly number[], dtype: number = DType.float32): Ref {
    return this.node(name, 'Placeholder', [], shape, { dtype: typeAttribute(dtype) }, dtype);
  }

  node(
    name: string,
    op: string,
    inputs: readonly Ref[],
    shape: readonly number[],
    attributes: Readonly<Record<string, Attribute>> = {},
    dtype: number = DType.float32,
  ): Ref {
    return this.#add({ name, op, inputs, attributes, outputs: [{ dtype, shape }] });
  }

  scalar(name: string, value: number): Ref {
    const bytes = new Uint8Array(Float32Array.of(value).buffer);
    const tensor = { dtype: DType.float32, shape: [], bytes };
    return this.node(name, 'Const', [], [], {
      dtype: typeAttribute(DType.float32),
      value: { kind: 'tensor', value: tensor },
    });
  }

  ints(name: string, values: readonly number[]): Ref {
    return this.#add(intConstant(name, values));
  }

  matMul(name: string, a: Ref, b: Ref, shape: readonly number[], adjoint: { x?: boolean; y?: boolean } = {}): Ref {
    const attributes: Record<string, Attribute> = {
      T: typeAttribute(DType.float32),
      adj_x: { kind: 'bool', value: adjoint.x ?? false },
      adj_y: { kind: 'bool', value: adjoint.y ?? false },
    };
    return this.node(name, 'BatchMatMulV2', [a, b], shape, attributes);
  }

  reshape(name: string, input: Ref, from: readonly number[], to: readonly number[]): Ref {
    const [constant, node] = reshapeNodes(name, input, { dtype: DType.float32, shape: from }, to);
    this.#add(constant);
    return this.#add(node);
  }

  transpose(name: string, input: Ref, from: readonly number[], permutation: readonly number[]): Ref {
    const [constant, node] = transposeNodes(name, input, { dtype: DType.float32, shape: from }, permutation);
    this.#add(constant);
    return this.#add(node);
  }

  cast(name: string, input: Ref, shape: readonly number[], from: number, to: number): Ref {
    return this.#add(castNode(name, input, { dtype: from, shape }, to));
  }

  result(name: string, input: Ref): void {
    this.#add({
      name,
      op: 'Identity',
      inputs: [input],
      attributes: {},
      outputs: [{ dtype: DType.float32, shape: [] }],
    });
    this.#results.push(name);
  }

  build(): Graph {
    return { nodes: this.#nodes, results: this.#results };
  }

  #add(node: GraphNode): Ref {
    this.#nodes.push(node);
    return ref(node);
  }
}

/** What an output is computed from, written out: `Add(Mul(x, y), x)`. Constants stand as their names. */
export function expression(graph: Graph, result: string): string {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const write = (name: string): string => {
    const node = nodes.get(name);
    if (node === undefined) return `?${name}`;
    if (node.inputs.length === 0) return name;
    const inputs = node.inputs
      .map((input) => input.replace(/:\d+$/, ''))
      .filter((input) => nodes.get(input)?.op !== 'Const');
    return `${labelOf(node)}(${inputs.map(write).join(', ')})`;
  };
  const node = nodes.get(result);
  return (node?.inputs ?? []).map((input) => write(input.replace(/:\d+$/, ''))).join(', ');
}

function labelOf({ op, outputs }: GraphNode): string {
  const [type] = outputs;
  if (op === 'Cast') return type?.dtype === DType.bfloat16 ? 'narrow' : 'widen';
  return op === 'Reshape' ? `Reshape[${type?.shape.join()}]` : op;
}

export function namesOf(graph: Graph): readonly string[] {
  return graph.nodes.map(({ name }) => name);
}
