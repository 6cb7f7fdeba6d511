import { z } from 'zod';
import type { OperatorKind } from '../../operators/kind.ts';
import type { Graph, Step } from './graph.ts';

/** A setting of an operator, as its schema says. */
export interface SettingDoc {
  readonly name: string;
  readonly description: string;
  /** Null where it has none. */
  readonly preset: unknown;
}

/** Settings of a kind, in the order of its schema. */
export function settingsOf({ config }: OperatorKind): readonly SettingDoc[] {
  const { properties = {} } = z.toJSONSchema(config, { io: 'input', unrepresentable: 'any' });
  return Object.entries(properties).map(([name, schema]) => {
    const { description = '', default: preset = null } = typeof schema === 'object' ? schema : {};
    return { name, description, preset };
  });
}

/** An arrow of the graph as a picture: between operators, or to and from topics. */
interface Edge {
  readonly from: string;
  readonly to: string;
}

const topicNode = (topic: string): string => `topic ${topic}`;

/** What a picture of a graph is made of: uids, topics, and what flows where. */
function edgesOf({ streams }: Graph): readonly Edge[] {
  return Object.values(streams).flatMap((steps) => {
    const along = steps.slice(1).map(({ uid }, index) => ({ from: steps[index]?.uid ?? '', to: uid }));
    const read = steps
      .filter(isSource)
      .flatMap(({ uid, kind, config }) => kind.topicsOf(config).map((topic) => ({ from: topicNode(topic), to: uid })));
    const written = steps
      .filter((step) => !isSource(step))
      .flatMap(({ uid, kind, config }) => kind.topicsOf(config).map((topic) => ({ from: uid, to: topicNode(topic) })));
    return [...read, ...along, ...written];
  });
}

function isSource({ kind }: Step): boolean {
  return kind.input === 'topics';
}

/** Nodes of a picture with names that every tool takes. */
function numbered(graph: Graph): ReadonlyMap<string, string> {
  const uids = Object.values(graph.streams).flatMap((steps) => steps.map(({ uid }) => uid));
  const nodes = [...uids, ...Object.keys(graph.topics).map(topicNode)];
  return new Map(nodes.map((node, index) => [node, `n${index}`]));
}

/** A flow chart for Mermaid. */
export function mermaidOf(graph: Graph): string {
  const ids = numbered(graph);
  const id = (node: string): string => ids.get(node) ?? '';
  const topics = Object.keys(graph.topics).map((topic) => `  ${id(topicNode(topic))}[("${quoted(topic)}")]`);
  const streams = Object.entries(graph.streams).flatMap(([name, steps]) => [
    `  subgraph ${name}`,
    ...steps.map(({ uid, kind }) => `    ${id(uid)}["${quoted(uid)}<br>${kind.kind}"]`),
    '  end',
  ]);
  const edges = edgesOf(graph).map(({ from, to }) => `  ${id(from)} --> ${id(to)}`);
  return ['flowchart LR', ...topics, ...streams, ...edges, ''].join('\n');
}

/** A graph for Graphviz. */
export function dotOf(graph: Graph): string {
  const ids = numbered(graph);
  const id = (node: string): string => ids.get(node) ?? '';
  const topics = Object.keys(graph.topics).map(
    (topic) => `  ${id(topicNode(topic))} [label="${escaped(topic)}", shape=cylinder];`,
  );
  const streams = Object.entries(graph.streams).flatMap(([name, steps]) => [
    `  subgraph "cluster_${name}" {`,
    `    label="${name}";`,
    ...steps.map(({ uid, kind }) => `    ${id(uid)} [label="${escaped(uid)}\\n${kind.kind}"];`),
    '  }',
  ]);
  const edges = edgesOf(graph).map(({ from, to }) => `  ${id(from)} -> ${id(to)};`);
  const head = [`digraph "${escaped(graph.name)}" {`, '  rankdir=LR;', '  node [shape=box];'];
  return [...head, ...topics, ...streams, ...edges, '}', ''].join('\n');
}

function quoted(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}
