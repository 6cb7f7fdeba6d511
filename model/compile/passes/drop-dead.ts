import { nodeOf, type Graph } from '../ir.ts';

/** Removes nodes that no result needs. */
export function dropDead(graph: Graph): Graph {
  const needed = new Set(graph.results);
  for (const node of graph.nodes.toReversed()) {
    if (!needed.has(node.name)) continue;
    for (const input of node.inputs) needed.add(nodeOf(input));
    for (const before of node.after ?? []) needed.add(before);
  }
  return { ...graph, nodes: graph.nodes.filter(({ name }) => needed.has(name)) };
}
