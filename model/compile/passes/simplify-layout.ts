import { intValues, reshapeNodes, transposeNodes } from '../build.ts';
import { sameShape, type Graph, type GraphNode, type OutputType, type Ref } from '../ir.ts';
import { rewriteGraph, type Rebuilt } from '../rewrite.ts';

/**
 * Removes casts, reshapes and transposes that change nothing, joins those that follow one another, and writes everything
 * that only changes the shape as a reshape.
 */
export function simplifyLayout(graph: Graph): Graph {
  const results = new Set(graph.results);
  return rewriteGraph(graph, (node, rebuilt) => {
    const [input] = node.inputs;
    const [type] = node.outputs;
    if (results.has(node.name) || input === undefined || type === undefined || node.outputs.length !== 1) return node;
    if (node.op === 'Cast') return rebuilt.type(input).dtype === type.dtype ? [input] : node;
    if (RESHAPES.has(node.op)) return reshape(node.name, input, type, rebuilt);
    if (node.op === 'Transpose') return transpose(node, input, type, rebuilt);
    return node;
  });
}

const RESHAPES: ReadonlySet<string> = new Set(['ExpandDims', 'Reshape', 'Squeeze']);

function reshape(name: string, input: Ref, { shape }: OutputType, rebuilt: Rebuilt): readonly Ref[] {
  let source = input;
  for (let from = rebuilt.producer(source); from.op === 'Reshape'; from = rebuilt.producer(source)) {
    source = firstInput(from);
  }
  const type = rebuilt.type(source);
  if (sameShape(type.shape, shape)) return [source];
  const [constant, node] = reshapeNodes(name, source, type, shape);
  rebuilt.add(constant);
  return [rebuilt.add(node)];
}

function transpose(node: GraphNode, input: Ref, type: OutputType, rebuilt: Rebuilt): GraphNode | readonly Ref[] {
  let permutation = permutationOf(node, rebuilt);
  if (permutation === null) return node;
  let source = input;
  const before = rebuilt.producer(input);
  const first = before.op === 'Transpose' ? permutationOf(before, rebuilt) : null;
  if (first !== null) {
    permutation = permutation.map((axis) => first[axis] ?? axis);
    source = firstInput(before);
  }
  const from = rebuilt.type(source);
  if (movesOnlyOnes(from.shape, permutation)) return reshape(node.name, source, type, rebuilt);
  if (source === input) return node;
  const [constant, joined] = transposeNodes(node.name, source, from, permutation);
  rebuilt.add(constant);
  return [rebuilt.add(joined)];
}

function permutationOf(node: GraphNode, rebuilt: Rebuilt): readonly number[] | null {
  const [, permutation] = node.inputs;
  return permutation === undefined ? null : intValues(rebuilt.producer(permutation));
}

/** Whether the axes longer than 1 stay in order, so that no entry moves. */
function movesOnlyOnes(shape: readonly number[], permutation: readonly number[]): boolean {
  const long = permutation.filter((axis) => shape[axis] !== 1);
  return long.every((axis, at) => at === 0 || (long[at - 1] ?? 0) < axis);
}

function firstInput(node: GraphNode): Ref {
  const [input] = node.inputs;
  if (input === undefined) throw new RangeError(`${node.name} has no input`);
  return input;
}
