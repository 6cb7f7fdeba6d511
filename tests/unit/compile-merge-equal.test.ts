import { expect, test } from 'vitest';
import { dropDead } from '../../model/compile/passes/drop-dead.ts';
import { mergeEqual } from '../../model/compile/passes/merge-equal.ts';
import { expression, GraphBuilder, namesOf } from './compile-graphs.ts';

test('constants of one value become one, and so does what is computed from them', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', []);
  const first = builder.node('first', 'Mul', [x, builder.scalar('two', 2)], []);
  const second = builder.node('second', 'Mul', [x, builder.scalar('again', 2)], []);
  const third = builder.node('third', 'Mul', [x, builder.scalar('three', 3)], []);
  builder.result('y', builder.node('sum', 'AddN', [first, second, third], []));
  const merged = dropDead(mergeEqual(builder.build()));
  expect(namesOf(merged)).toEqual(['x', 'two', 'first', 'three', 'third', 'sum', 'y']);
  expect(expression(merged, 'y')).toBe('AddN(Mul(x), Mul(x), Mul(x))');
});

test('nodes with other attributes, random numbers and reads of variables stay apart', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2, 2]);
  const plain = builder.matMul('plain', x, x, [2, 2]);
  const adjoint = builder.matMul('adjoint', x, x, [2, 2], { y: true });
  const noise = ['a', 'b'].map((name) => builder.node(name, 'RandomStandardNormal', [], [2, 2]));
  builder.result('y', builder.node('sum', 'AddN', [plain, adjoint, ...noise], [2, 2]));
  const graph = builder.build();
  expect(mergeEqual(graph)).toEqual(graph);
});
