import { MillraceError } from '../../operators/errors.ts';
import type { Graph } from './graph.ts';
import { lintGraph } from './lint.ts';
import type { Finding } from './lint.ts';
import type { LintOptions } from './lint-modules.ts';

/** The graph that a text says, as YAML or JSON. Throws `graph-invalid` with all that is wrong with it, and where. */
export function parseGraph(text: string, source: string, options: LintOptions = {}): Graph {
  const { graph, findings } = lintGraph(text, options);
  if (graph) return graph;
  const list = findings.map((finding) => `  ${describeFinding(source, finding)}`).join('\n');
  throw new MillraceError('graph-invalid', `The graph can't run:\n${list}\n`);
}

/** On one line, as compilers do it, so that editors find the place. */
export function describeFinding(source: string, { line, column, code, path, message }: Finding): string {
  return `${source}:${line}:${column} ${code} ${path ? `at ${path}: ` : ''}${message}`;
}
