/*
 * The compiler's own form of a graph: what the tracer records, what the passes turn into better graphs, and what the
 * encoder writes as a TensorFlow GraphDef. Plain data; nothing here knows tfjs.
 */

/** TensorFlow's numbers of the element types that graphs use. */
export const DType = {
  float32: 1,
  int32: 3,
  string: 7,
  complex64: 8,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  resource: 20,
} as const;
export type DType = number;

export type Attribute =
  | { readonly kind: 'type' | 'int' | 'float'; readonly value: number }
  | { readonly kind: 'ints' | 'shape' | 'types'; readonly value: readonly number[] }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: ConstantValue };

export interface ConstantValue {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface OutputType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** One output of one node, as TensorFlow writes it: `name:index`. */
export type Ref = `${string}:${number}`;

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly Ref[];
  /** Names of nodes that must have run before. */
  readonly after?: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly outputs: readonly OutputType[];
}

/** Nodes in an order in which every node stands behind its inputs, and the names of those that must survive. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly results: readonly string[];
}

/** A rewrite of a graph that leaves what it computes as it is, but for rounding. Pure: the graph given stays as it was. */
export type Pass = (graph: Graph) => Graph;

export function ref(node: { readonly name: string }, index = 0): Ref {
  return `${node.name}:${index}`;
}

export function nodeOf(reference: Ref): string {
  return reference.slice(0, reference.lastIndexOf(':'));
}

export function indexOf(reference: Ref): number {
  return Number(reference.slice(reference.lastIndexOf(':') + 1));
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dimension) => size * dimension, 1);
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dimension, at) => dimension === b[at]);
}

export const typeAttribute = (value: DType): Attribute => ({ kind: 'type', value });
export const boolAttribute = (value: boolean): Attribute => ({ kind: 'bool', value });

/** Nodes with a state, an effect or another value each time: never merged, never moved. */
export function isStateful(node: GraphNode): boolean {
  return STATEFUL.has(node.op) || node.op.startsWith('Random');
}

const STATEFUL: ReadonlySet<string> = new Set([
  'AssignVariableOp',
  'Multinomial',
  'NoOp',
  'ParameterizedTruncatedNormal',
  'Placeholder',
  'ReadVariableOp',
  'ResourceScatterNdUpdate',
  'TruncatedNormal',
  'VarHandleOp',
]);
