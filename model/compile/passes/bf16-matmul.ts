import { castNode } from '../build.ts';
import { DType, ref, typeAttribute, type Graph, type GraphNode, type Ref } from '../ir.ts';
import { rewriteGraph, type Rebuilt } from '../rewrite.ts';

/**
 * Multiplies float32 matrices in bfloat16: inputs are rounded, each tensor once whatever the number of products that
 * read it, and the result is widened again. TensorFlow adds up in float32 within a product.
 */
export function bf16MatMul(graph: Graph): Graph {
  return rewriteGraph(graph, (node, rebuilt) => {
    const [type] = node.outputs;
    if (!PRODUCTS.has(node.op) || type?.dtype !== DType.float32) return node;
    const product: GraphNode = {
      ...node,
      name: `${node.name}/bf16`,
      inputs: node.inputs.map((input) => narrow(input, rebuilt)),
      attributes: { ...node.attributes, T: typeAttribute(DType.bfloat16) },
      outputs: [{ dtype: DType.bfloat16, shape: type.shape }],
    };
    rebuilt.add(product);
    return castNode(node.name, ref(product), { dtype: DType.bfloat16, shape: type.shape }, DType.float32);
  });
}

function narrow(input: Ref, rebuilt: Rebuilt): Ref {
  return rebuilt.addOnce(castNode(`${input.replace(':', '.')}/narrow`, input, rebuilt.type(input), DType.bfloat16));
}

const PRODUCTS: ReadonlySet<string> = new Set(['BatchMatMulV2', 'MatMul']);
