import { expect, test } from 'vitest';
import { DType } from '../../model/compile/ir.ts';
import { simplifyLayout } from '../../model/compile/passes/simplify-layout.ts';
import { expression, GraphBuilder } from './compile-graphs.ts';

test('a reshape to the same shape goes, reshapes in a row become one', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2, 3]);
  const same = builder.reshape('same', x, [2, 3], [2, 3]);
  const flat = builder.reshape('flat', same, [2, 3], [6]);
  builder.result('y', builder.reshape('tall', flat, [6], [3, 2]));
  builder.result('z', builder.reshape('back', flat, [6], [2, 3]));
  const graph = simplifyLayout(builder.build());
  expect(expression(graph, 'y')).toBe('Reshape[3,2](x)');
  expect(expression(graph, 'z')).toBe('x');
});

test('transposes in a row become one, or none where they undo one another', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2, 3, 4]);
  const turned = builder.transpose('turned', x, [2, 3, 4], [1, 2, 0]);
  builder.result('y', builder.transpose('further', turned, [3, 4, 2], [1, 2, 0]));
  builder.result('z', builder.transpose('back', turned, [3, 4, 2], [2, 0, 1]));
  const graph = simplifyLayout(builder.build());
  expect(expression(graph, 'y')).toBe('Transpose(x)');
  expect(graph.nodes.find(({ name }) => name === 'further')?.outputs[0]?.shape).toEqual([4, 2, 3]);
  expect(expression(graph, 'z')).toBe('x');
});

test('a transpose that moves axes of length 1 only is a reshape', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2, 1, 3]);
  builder.result('y', builder.transpose('moved', x, [2, 1, 3], [1, 0, 2]));
  expect(expression(simplifyLayout(builder.build()), 'y')).toBe('Reshape[1,2,3](x)');
});

test('a cast to the type that a tensor has goes', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2]);
  builder.result('y', builder.cast('same', x, [2], DType.float32, DType.float32));
  expect(expression(simplifyLayout(builder.build()), 'y')).toBe('x');
});
