import { clustersOf } from '../fusion/clusters.ts';
import { levelsOf } from '../fusion/levels.ts';
import { recompute } from '../fusion/recompute.ts';
import { nodeOf, ref, sizeOf, type Attribute, type Graph, type GraphNode } from '../ir.ts';
import { GraphView, inOrder } from '../rewrite.ts';
import { dropDead } from './drop-dead.ts';

/**
 * Marks chains of elementwise operations to be compiled by XLA, one scope for each, and leaves the products of matrices
 * between them to TensorFlow. Small constants are copied into the scopes that read them, since XLA needs to know axes and
 * shapes; it would compute with large ones while it compiles.
 */
export function markXla(graph: Graph): Graph {
  const recomputed = recompute(levelsOf(graph));
  const leveled = { ...recomputed, graph: dropDead(recomputed.graph) };
  const view = new GraphView(leveled.graph);
  const marked = new Map<string, GraphNode>();
  const constants = new Map<string, GraphNode>();
  for (const [at, { nodes }] of clustersOf(leveled).entries()) {
    const scope = `chain_${at}`;
    for (const node of nodes) {
      const inputs = node.inputs.map((input) => {
        const producer = view.node(nodeOf(input));
        if (producer.op !== 'Const' || sizeOf(view.type(input).shape) > COPIED_SIZE_LIMIT) return input;
        const copy = { ...inScope(producer, scope), name: `${producer.name}/${scope}` };
        constants.set(copy.name, copy);
        return ref(copy);
      });
      marked.set(node.name, { ...inScope(node, scope), inputs });
    }
  }
  const nodes = leveled.graph.nodes.map((node) => marked.get(node.name) ?? node);
  return dropDead({ ...graph, nodes: inOrder([...constants.values(), ...nodes]) });
}

const COPIED_SIZE_LIMIT = 64;

function inScope(node: GraphNode, scope: string): GraphNode {
  const marks: Record<string, Attribute> = {
    _XlaCompile: { kind: 'bool', value: true },
    _XlaScope: { kind: 'string', value: scope },
  };
  return { ...node, attributes: { ...node.attributes, ...marks } };
}
