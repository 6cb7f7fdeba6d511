import { nodeOf, sizeOf, type GraphNode } from '../ir.ts';
import type { Leveled } from './levels.ts';

/** Nodes to be compiled as one. */
export interface Cluster {
  readonly level: number;
  readonly nodes: readonly GraphNode[];
}

/** Clusters of smaller tensors than this, in entries, are put together with others of their level: fewer to compile. */
const MERGE_BELOW = 524_288;

/** Clusters of fewer entries than this are left to TensorFlow's own operations. */
const COMPILE_FROM = 4_096;

/**
 * Groups fusible nodes into clusters: those of one level that are connected, and small ones together. No cluster reaches itself through a node outside of it.
 */
export function clustersOf(leveled: Leveled): readonly Cluster[] {
  const byLevel = new Map<number, Cluster[]>();
  for (const component of componentsOf(leveled)) {
    byLevel.set(component.level, [...(byLevel.get(component.level) ?? []), component]);
  }
  return [...byLevel.values()]
    .flatMap(mergeSmall)
    .filter(({ nodes }) => largestOf(nodes) >= COMPILE_FROM && nodes.length > 1);
}

function componentsOf({ graph, levels }: Leveled): readonly Cluster[] {
  const leader = new Map<string, string>();
  const find = (name: string): string => {
    const above = leader.get(name) ?? name;
    return above === name ? name : find(above);
  };
  const members = graph.nodes.filter(({ name }) => levels.has(name));
  for (const node of members) {
    for (const input of node.inputs) {
      const producer = nodeOf(input);
      if (levels.get(producer) === levels.get(node.name)) leader.set(find(producer), find(node.name));
    }
  }
  const components = new Map<string, { level: number; nodes: GraphNode[] }>();
  for (const node of members) {
    const key = find(node.name);
    const component = components.get(key) ?? { level: levels.get(node.name) ?? 0, nodes: [] };
    component.nodes.push(node);
    components.set(key, component);
  }
  return [...components.values()];
}

function mergeSmall(clusters: readonly Cluster[]): readonly Cluster[] {
  const merged: Cluster[] = [];
  let open: Cluster | undefined;
  let openSize = 0;
  for (const cluster of clusters) {
    const size = largestOf(cluster.nodes);
    if (size >= MERGE_BELOW) {
      merged.push(cluster);
      continue;
    }
    open = { level: cluster.level, nodes: [...(open?.nodes ?? []), ...cluster.nodes] };
    openSize += size;
    if (openSize < MERGE_BELOW) continue;
    merged.push(open);
    open = undefined;
    openSize = 0;
  }
  return open === undefined ? merged : [...merged, open];
}

/** Entries of the largest tensor that any of the nodes computes. */
function largestOf(nodes: readonly GraphNode[]): number {
  return Math.max(...nodes.flatMap(({ outputs }) => outputs.map(({ shape }) => sizeOf(shape))));
}
