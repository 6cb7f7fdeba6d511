import { createHash } from 'node:crypto';
import { isStateful, ref, type Attribute, type Graph, type GraphNode, type Ref } from '../ir.ts';
import { rewriteGraph } from '../rewrite.ts';

/** Common-subexpression elimination: of nodes that compute the same from the same, constants among them, one is left. */
export function mergeEqual(graph: Graph): Graph {
  const kept = new Map<string, GraphNode>();
  const results = new Set(graph.results);
  return rewriteGraph(graph, (node): GraphNode | readonly Ref[] => {
    if (isStateful(node) || results.has(node.name) || (node.after?.length ?? 0) > 0) return node;
    const key = keyOf(node);
    const first = kept.get(key);
    if (first !== undefined) return node.outputs.map((_, index) => ref(first, index));
    kept.set(key, node);
    return node;
  });
}

function keyOf({ op, inputs, attributes, outputs }: GraphNode): string {
  const parts = Object.entries(attributes).map(([name, attribute]) => `${name}=${attributeKey(attribute)}`);
  const shapes = outputs.map(({ dtype, shape }) => `${dtype}[${shape.join()}]`);
  return [op, ...inputs, ...parts.toSorted(), ...shapes].join(' ');
}

function attributeKey({ kind, value }: Attribute): string {
  if (kind !== 'tensor') return JSON.stringify(value);
  return `${value.dtype}[${value.shape.join()}]${createHash('sha256').update(value.bytes).digest('base64')}`;
}
