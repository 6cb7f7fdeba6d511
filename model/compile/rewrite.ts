import { nodeOf, ref, type Graph, type GraphNode, type OutputType, type Ref } from './ir.ts';

/*
 * What passes are made of: look up, use counts, rewiring, and putting nodes back into order.
 */

export class GraphView {
  readonly graph: Graph;
  readonly #byName: ReadonlyMap<string, GraphNode>;
  #consumers: Map<string, GraphNode[]> | undefined;

  constructor(graph: Graph) {
    this.graph = graph;
    this.#byName = new Map(graph.nodes.map((node) => [node.name, node]));
  }

  node(name: string): GraphNode {
    const node = this.#byName.get(name);
    if (node === undefined) throw new RangeError(`The graph has no node ${name}`);
    return node;
  }

  producer(reference: Ref): GraphNode {
    return this.node(nodeOf(reference));
  }

  type(reference: Ref): OutputType {
    const type = this.producer(reference).outputs[Number(reference.slice(reference.lastIndexOf(':') + 1))];
    if (type === undefined) throw new RangeError(`The graph has no output ${reference}`);
    return type;
  }

  /** Nodes that read any output of the node, each once. */
  consumers(name: string): readonly GraphNode[] {
    this.#consumers ??= consumersOf(this.graph);
    return this.#consumers.get(name) ?? [];
  }
}

function consumersOf(graph: Graph): Map<string, GraphNode[]> {
  const consumers = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const producer of new Set(node.inputs.map(nodeOf))) {
      const list = consumers.get(producer);
      if (list === undefined) consumers.set(producer, [node]);
      else list.push(node);
    }
  }
  return consumers;
}

/**
 * Builds a graph anew, node by node in order. `rewrite` sees each node with its inputs already rewired, may add nodes in
 * front of it, and returns the node to keep, or the outputs of other nodes that take its place.
 */
export function rewriteGraph(
  graph: Graph,
  rewrite: (node: GraphNode, rebuilt: Rebuilt) => GraphNode | readonly Ref[],
): Graph {
  const rebuilt = new Rebuilt();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => rebuilt.resolve(input));
    const rewired = inputs.every((input, at) => input === node.inputs[at]) ? node : { ...node, inputs };
    const result = rewrite(rewired, rebuilt);
    if (isRefs(result)) rebuilt.replace(node, result);
    else rebuilt.add(result);
  }
  return { nodes: rebuilt.nodes, results: graph.results };
}

function isRefs(result: GraphNode | readonly Ref[]): result is readonly Ref[] {
  return Array.isArray(result);
}

/** The graph that `rewriteGraph` is building. */
export class Rebuilt {
  readonly nodes: GraphNode[] = [];
  readonly #byName = new Map<string, GraphNode>();
  readonly #replaced = new Map<Ref, Ref>();

  add(node: GraphNode): Ref {
    this.nodes.push(node);
    this.#byName.set(node.name, node);
    return ref(node);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** The node, added unless one of this name is there. For values that several nodes share, such as casts. */
  addOnce(node: GraphNode): Ref {
    return this.#byName.has(node.name) ? ref(node) : this.add(node);
  }

  producer(reference: Ref): GraphNode {
    const node = this.#byName.get(nodeOf(reference));
    if (node === undefined) throw new RangeError(`The graph has no node for ${reference}`);
    return node;
  }

  type(reference: Ref): OutputType {
    const type = this.producer(reference).outputs[Number(reference.slice(reference.lastIndexOf(':') + 1))];
    if (type === undefined) throw new RangeError(`The graph has no output ${reference}`);
    return type;
  }

  replace(node: GraphNode, outputs: readonly Ref[]): void {
    outputs.forEach((output, index) => this.#replaced.set(ref(node, index), output));
  }

  resolve(reference: Ref): Ref {
    return this.#replaced.get(reference) ?? reference;
  }
}

/** Nodes in an order in which every node stands behind its inputs; otherwise as they came. */
export function inOrder(nodes: readonly GraphNode[]): readonly GraphNode[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const placed = new Set<string>();
  const ordered: GraphNode[] = [];
  const place = (start: GraphNode): void => {
    const stack = [{ node: start, open: false }];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      if (placed.has(top.node.name)) continue;
      if (top.open) {
        placed.add(top.node.name);
        ordered.push(top.node);
        continue;
      }
      stack.push({ node: top.node, open: true });
      for (const before of [...top.node.inputs.map(nodeOf), ...(top.node.after ?? [])].toReversed()) {
        const node = byName.get(before);
        if (node !== undefined && !placed.has(before)) stack.push({ node, open: false });
      }
    }
  };
  for (const node of nodes) place(node);
  return ordered;
}
