import { z } from 'zod';
import { settingsOf } from '../spec/describe.ts';
import type { Graph, Step } from '../spec/graph.ts';
import { printable, table } from './format.ts';

/** A graph as people read it: what it is made of, then each operator with what its settings mean. */
export function graphLines(graph: Graph): string {
  const { name, model, tokenizer, topics, streams, operators = [] } = graph;
  const facts: (readonly [string, string])[] = [
    ['graph', name],
    [
      'model',
      `${model.import ? printable(model.import.path) : `preset ${model.preset}`}${sizesOf(model)}, seed ${model.seed}`,
    ],
    ['tokenizer', tokenizer.kind],
    ...operators.map(({ path }): [string, string] => ['operators', printable(path)]),
    [
      'topics',
      Object.entries(topics)
        .map(([topic, { partitions }]) => (partitions === undefined ? topic : `${topic} (${partitions})`))
        .join(', '),
    ],
  ];
  const parts = Object.entries(streams).map(([stream, steps]) => {
    const [first] = steps;
    const way = [first?.kind.topicsOf(first.config).join(', ') ?? '', ...steps.map(({ uid }) => uid)].join(' → ');
    return `stream ${stream}: ${printable(way)}\n\n${steps.map((step) => stepLines(step)).join('\n')}`;
  });
  return [table(null, facts), ...parts].join('\n');
}

/** Sizes that are not the preset's. */
function sizesOf({ layers, hiddenSize, heads, intermediateSize }: Graph['model']): string {
  const sizes = Object.entries({ layers, hiddenSize, heads, intermediateSize });
  return sizes.map(([name, size]) => (size === undefined ? '' : `, ${name} ${size}`)).join('');
}

const configSchema = z.record(z.string(), z.unknown());

function stepLines({ uid, kind, config }: Step): string {
  const values = configSchema.parse(config);
  const rows = settingsOf(kind).map(({ name, description }) => [`    ${name}`, shown(values[name]), description]);
  const state = kind.state === null ? 'Has no state.' : `State: ${kind.state}.`;
  return `  ${printable(uid)}  ${kind.kind}: ${kind.input} → ${kind.output}\n    ${kind.summary} ${state}\n${rows.length > 0 ? table(null, rows) : ''}`;
}

function shown(value: unknown): string {
  return value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value);
}
