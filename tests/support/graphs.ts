import type { Snapshot } from '../../operators/index.ts';
import { lintGraph } from '../../pipelines/index.ts';
import type { Graph, States } from '../../pipelines/index.ts';

/** A graph from its text; throws where lint finds anything. */
export function graphOf(text: string): Graph {
  const { graph, findings } = lintGraph(text);
  if (graph) return graph;
  throw new Error(findings.map(({ code, path, message }) => `${code} ${path} ${message}`).join('\n'));
}

/** States of cuts, by stream and uid. */
export function statesOf(states: Readonly<Record<string, Readonly<Record<string, Snapshot>>>>): States {
  return new Map(Object.entries(states).map(([stream, each]) => [stream, new Map(Object.entries(each))]));
}
