import { expect, test } from 'vitest';
import { dropDead } from '../../model/compile/passes/drop-dead.ts';
import { GraphBuilder, namesOf } from './compile-graphs.ts';

test('nodes that no result needs go, those that must only run before a result stay', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2]);
  const used = builder.node('used', 'Neg', [x], [2]);
  builder.node('unused', 'Exp', [used], [2]);
  builder.node('effect', 'Neg', [x], [2]);
  builder.result('y', used);
  const graph = builder.build();
  const nodes = graph.nodes.map((node) => (node.name === 'y' ? { ...node, after: ['effect'] } : node));
  expect(namesOf(dropDead({ ...graph, nodes }))).toEqual(['x', 'used', 'effect', 'y']);
});
