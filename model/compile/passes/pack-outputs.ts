import { castNode, reshapeNodes } from '../build.ts';
import { DType, ref, typeAttribute, type Graph, type GraphNode, type Ref } from '../ir.ts';
import { rewriteGraph } from '../rewrite.ts';

/** Gives float32 outputs as bfloat16, two to an int32 of half as many columns: what `unpackInputs` takes. */
export function packOutputs(graph: Graph, packed: ReadonlySet<Ref | undefined>): Graph {
  if (packed.size === 0) return graph;
  return rewriteGraph(graph, (node, rebuilt) => {
    const [value] = node.inputs;
    const [type] = node.outputs;
    if (!packed.has(ref(node)) || value === undefined || type === undefined) return node;
    const narrow = { dtype: DType.bfloat16, shape: type.shape };
    const cast = rebuilt.add(castNode(`${node.name}/narrow`, value, type, DType.bfloat16));
    const halves = [...type.shape.slice(0, -1), (type.shape.at(-1) ?? 0) / 2];
    const [constant, pairs] = reshapeNodes(`${node.name}/pairs`, cast, narrow, [...halves, 2]);
    rebuilt.add(constant);
    const bytes: GraphNode = {
      name: `${node.name}/bytes`,
      op: 'Bitcast',
      inputs: [rebuilt.add(pairs)],
      attributes: { T: typeAttribute(DType.bfloat16), type: typeAttribute(DType.int32) },
      outputs: [{ dtype: DType.int32, shape: halves }],
    };
    return {
      ...node,
      inputs: [rebuilt.add(bytes)],
      attributes: { ...node.attributes, T: typeAttribute(DType.int32) },
      outputs: bytes.outputs,
    };
  });
}
