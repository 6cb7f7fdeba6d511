import { castNode, reshapeNodes } from '../build.ts';
import { DType, ref, typeAttribute, type Graph, type GraphNode, type Ref } from '../ir.ts';
import { rewriteGraph } from '../rewrite.ts';

/**
 * Lets float32 inputs come as bfloat16, two to an int32, since tfjs cannot hold bfloat16: unpacking only looks at the same
 * bytes in another way, and products in bfloat16 read them as they are.
 */
export function unpackInputs(graph: Graph, packed: ReadonlySet<Ref | undefined>): Graph {
  if (packed.size === 0) return graph;
  return rewriteGraph(graph, (node, rebuilt) => {
    const shape = node.outputs[0]?.shape;
    if (!packed.has(ref(node)) || shape === undefined) return node;
    const halves = [...shape.slice(0, -1), (shape.at(-1) ?? 0) / 2];
    const bytes: GraphNode = {
      ...node,
      attributes: { ...node.attributes, dtype: typeAttribute(DType.int32), shape: { kind: 'shape', value: halves } },
      outputs: [{ dtype: DType.int32, shape: halves }],
    };
    const pairs: GraphNode = {
      name: `${node.name}/pairs`,
      op: 'Bitcast',
      inputs: [rebuilt.add(bytes)],
      attributes: { T: typeAttribute(DType.int32), type: typeAttribute(DType.bfloat16) },
      outputs: [{ dtype: DType.bfloat16, shape: [...halves, 2] }],
    };
    const type = { dtype: DType.bfloat16, shape };
    const [constant, narrow] = reshapeNodes(`${node.name}/narrow`, rebuilt.add(pairs), type, shape);
    rebuilt.add(constant);
    return [rebuilt.add(castNode(`${node.name}/wide`, rebuilt.add(narrow), type, DType.float32))];
  });
}

export function unpackedShape(shape: readonly number[]): readonly number[] {
  return [...shape.slice(0, -1), (shape.at(-1) ?? 0) * 2];
}
