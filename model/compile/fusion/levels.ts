import { DType, nodeOf, sizeOf, type Graph, type GraphNode, type Ref } from '../ir.ts';
import { BINARY, COMPARISONS, names, OTHER_ELEMENTWISE, REDUCTIONS, UNARY } from '../op-kinds.ts';
import { GraphView } from '../rewrite.ts';

/*
 * Which operations may be compiled together. Each fusible node gets a level: the number of barriers, such as products of
 * matrices, on the longest way to it. Nodes of one level can be compiled together in any grouping, since no way from one
 * of them back to another leads through a barrier or through another level.
 */

/** A graph whose fusible nodes have levels. */
export interface Leveled {
  readonly graph: Graph;
  /** By name of the node; nodes without one are barriers or sources. */
  readonly levels: ReadonlyMap<string, number>;
}

export function levelsOf(graph: Graph): Leveled {
  const view = new GraphView(graph);
  const fusible = new Set(graph.nodes.filter((node) => isFusible(node, view)).map(({ name }) => name));
  const borders = bordersOf(view, fusible);
  const depths = new Map<string, number>();
  const depthBehind = (input: Ref, node: GraphNode): number => {
    const producer = view.producer(input);
    const depth = depths.get(producer.name) ?? 0;
    if (isSource(producer)) return 0;
    if (!fusible.has(producer.name)) return depth + 1;
    return fansOut(view.type(input).shape, node) ? depth + 1 : depth;
  };
  for (const node of graph.nodes) {
    depths.set(node.name, Math.max(0, ...node.inputs.map((input) => depthBehind(input, node))));
  }
  const levels = [...depths].filter(([name]) => fusible.has(name) && !borders.has(name));
  return { graph, levels: new Map(levels) };
}

/**
 * Reshapes and transposes next to a barrier. They stay out of clusters, which would only write another copy; since they
 * stand at the border, no way leads through them from a cluster back into it.
 */
function bordersOf(view: GraphView, fusible: ReadonlySet<string>): ReadonlySet<string> {
  const borders = new Set<string>();
  const isOutside = (name: string): boolean => !fusible.has(name) || borders.has(name);
  const movers = view.graph.nodes.filter(({ op, name }) => MOVERS.has(op) && fusible.has(name));
  for (const node of movers) {
    const [input] = node.inputs;
    if (input !== undefined && isOutside(nodeOf(input))) borders.add(node.name);
  }
  for (const node of movers.toReversed()) {
    if (view.consumers(node.name).every(({ name }) => isOutside(name))) borders.add(node.name);
  }
  return borders;
}

/**
 * A computed number that many large nodes read, such as the factor by which gradients are clipped, would tie them all into
 * one huge cluster; so it ends a level.
 */
function fansOut(shape: readonly number[], { outputs }: GraphNode): boolean {
  return sizeOf(shape) === 1 && outputs.some((output) => sizeOf(output.shape) > 1);
}

function isFusible(node: GraphNode, view: GraphView): boolean {
  if (!FUSIBLE.has(node.op) || (node.after?.length ?? 0) > 0) return false;
  return [...node.inputs.map((input) => view.type(input)), ...node.outputs].every(({ dtype }) =>
    FUSIBLE_TYPES.has(dtype),
  );
}

/** Nodes whose values are there before anything is computed. */
export function isSource({ op }: GraphNode): boolean {
  return SOURCES.has(op);
}

/** Computed entry by entry, so that computing it twice costs little. */
export function isElementwise({ op }: GraphNode): boolean {
  return ELEMENTWISE.has(op);
}

/** Levels of the fusible nodes that read a node's outputs, and whether any other node does. */
export function readersOf(
  node: GraphNode,
  view: GraphView,
  { levels }: Leveled,
): { levels: Set<number>; barrier: boolean } {
  const readers = { levels: new Set<number>(), barrier: view.graph.results.includes(node.name) };
  for (const reader of view.consumers(node.name)) {
    const level = levels.get(reader.name);
    if (level === undefined) readers.barrier = true;
    else readers.levels.add(level);
  }
  return readers;
}

export function bytesOf(reference: Ref, view: GraphView): number {
  const { dtype, shape } = view.type(reference);
  return sizeOf(shape) * (WIDTHS.get(dtype) ?? 4);
}

const WIDTHS: ReadonlyMap<number, number> = new Map([
  [DType.bfloat16, 2],
  [DType.bool, 1],
]);

const FUSIBLE_TYPES: ReadonlySet<number> = new Set([DType.float32, DType.int32, DType.bool, DType.bfloat16]);
const ELEMENTWISE: ReadonlySet<string> = new Set(
  [...UNARY, ...BINARY, ...COMPARISONS, ...OTHER_ELEMENTWISE].filter((op) => op !== 'Softmax'),
);
const FUSIBLE: ReadonlySet<string> = new Set([
  ...ELEMENTWISE,
  ...REDUCTIONS,
  ...names('ConcatV2 Reshape ReverseV2 Slice Softmax SplitV Transpose SparseSoftmaxCrossEntropyWithLogits'),
]);
const MOVERS: ReadonlySet<string> = names('Reshape Transpose');
const SOURCES: ReadonlySet<string> = names('Const Placeholder ReadVariableOp VarHandleOp');
