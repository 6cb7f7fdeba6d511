import { expect, test } from 'vitest';
import { flattenMatMul } from '../../model/compile/passes/flatten-matmul.ts';
import { expression, GraphBuilder } from './compile-graphs.ts';

test('a product of two matrices becomes a plain one and keeps what is transposed', () => {
  const builder = new GraphBuilder();
  builder.result(
    'y',
    builder.matMul('p', builder.input('a', [4, 3]), builder.input('b', [5, 4]), [3, 5], { x: true, y: true }),
  );
  const graph = flattenMatMul(builder.build());
  expect(expression(graph, 'y')).toBe('MatMul(a, b)');
  const attributes = graph.nodes.find(({ name }) => name === 'p')?.attributes;
  expect(attributes).toMatchObject({ transpose_a: { value: true }, transpose_b: { value: true } });
});

test('a batch on the left alone is stacked', () => {
  const builder = new GraphBuilder();
  builder.result('y', builder.matMul('p', builder.input('a', [2, 3, 4]), builder.input('b', [1, 4, 5]), [2, 3, 5]));
  expect(expression(flattenMatMul(builder.build()), 'y')).toBe(
    'Reshape[2,3,5](MatMul(Reshape[6,4](a), Reshape[4,5](b)))',
  );
});

test('batches on both sides stay, and so does a batch that is transposed on the left', () => {
  const builder = new GraphBuilder();
  builder.result('y', builder.matMul('p', builder.input('a', [2, 3, 4]), builder.input('b', [2, 4, 5]), [2, 3, 5]));
  builder.result(
    'z',
    builder.matMul('q', builder.input('c', [2, 4, 3]), builder.input('d', [4, 5]), [2, 3, 5], { x: true }),
  );
  const graph = builder.build();
  expect(flattenMatMul(graph)).toEqual(graph);
});
