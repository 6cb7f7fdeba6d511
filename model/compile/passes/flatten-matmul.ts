import { reshapeNodes } from '../build.ts';
import { boolAttribute, ref, sizeOf, type Graph, type GraphNode, type OutputType, type Ref } from '../ir.ts';
import { rewriteGraph, type Rebuilt } from '../rewrite.ts';
import { isSet } from '../shapes.ts';

/**
 * Turns batched products of a single matrix into plain ones, which TensorFlow computes faster: tfjs writes every product
 * as a batched one. A batch on the left alone is stacked into one tall matrix.
 */
export function flattenMatMul(graph: Graph): Graph {
  return rewriteGraph(graph, (node, rebuilt) => {
    const [a, b] = node.inputs;
    const [type] = node.outputs;
    if (node.op !== 'BatchMatMulV2' || a === undefined || b === undefined || type === undefined) return node;
    const single = batchOf(rebuilt.type(a)) === 1;
    const stackable = !isSet(node.attributes['adj_x']);
    if (batchOf(rebuilt.type(b)) !== 1 || !(single || stackable)) return node;
    const left = asMatrix(`${node.name}/left`, a, rebuilt);
    const right = asMatrix(`${node.name}/right`, b, rebuilt);
    return product(node, left, right, type, rebuilt);
  });
}

function product(
  node: GraphNode,
  left: Ref,
  right: Ref,
  type: OutputType,
  rebuilt: Rebuilt,
): GraphNode | readonly Ref[] {
  const { T, adj_x, adj_y } = node.attributes;
  const attributes = {
    ...(T && { T }),
    transpose_a: boolAttribute(isSet(adj_x)),
    transpose_b: boolAttribute(isSet(adj_y)),
  };
  const columns = type.shape.at(-1) ?? 1;
  const shape = [sizeOf(type.shape) / columns, columns];
  const flat: GraphNode = {
    ...node,
    op: 'MatMul',
    inputs: [left, right],
    attributes,
    outputs: [{ dtype: type.dtype, shape }],
  };
  if (type.shape.length === 2) return flat;
  const matrix = { ...flat, name: `${node.name}/flat` };
  const [constant, restored] = reshapeNodes(node.name, ref(matrix), { dtype: type.dtype, shape }, type.shape);
  rebuilt.add(matrix);
  rebuilt.add(constant);
  return restored;
}

/** The last two axes as they are, all before them stacked. */
function asMatrix(name: string, input: Ref, rebuilt: Rebuilt): Ref {
  const type = rebuilt.type(input);
  if (type.shape.length === 2) return input;
  const columns = type.shape.at(-1) ?? 1;
  const [constant, node] = reshapeNodes(name, input, type, [sizeOf(type.shape) / columns, columns]);
  rebuilt.add(constant);
  return rebuilt.add(node);
}

function batchOf({ shape }: OutputType): number {
  return sizeOf(shape.slice(0, -2));
}
