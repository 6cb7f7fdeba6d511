import { fileURLToPath } from 'node:url';
import { MillraceError } from '../../operators/errors.ts';
import type { Graph } from '../spec/graph.ts';
import { lintGraph } from '../spec/lint.ts';
import { describeFinding, readGraphFile } from './lint.ts';

export const DEFAULT_GRAPH: string = fileURLToPath(new URL('../graphs/sotu.yaml', import.meta.url));

/** Reads a graph that can run. Rejects with `graph-invalid`, and every finding. */
export function readGraph(file: string): Graph {
  const { graph, findings } = lintGraph(readGraphFile(file));
  if (graph) return graph;
  const list = findings.map((finding) => `  ${describeFinding(file, finding)}`).join('\n');
  throw new MillraceError('graph-invalid', `The graph can't run:\n${list}\n`);
}
