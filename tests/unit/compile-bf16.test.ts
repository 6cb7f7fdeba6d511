import { expect, test } from 'vitest';
import { DType } from '../../model/compile/ir.ts';
import { bf16MatMul } from '../../model/compile/passes/bf16-matmul.ts';
import { dropDead } from '../../model/compile/passes/drop-dead.ts';
import { moveCasts } from '../../model/compile/passes/move-casts.ts';
import { expression, GraphBuilder } from './compile-graphs.ts';

test('products are computed in bfloat16, and each tensor is rounded once', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2, 2]);
  const square = builder.matMul('square', x, x, [2, 2]);
  builder.result('y', builder.matMul('cube', square, x, [2, 2]));
  const graph = bf16MatMul(builder.build());
  expect(expression(graph, 'y')).toBe(
    'widen(BatchMatMulV2(narrow(widen(BatchMatMulV2(narrow(x), narrow(x)))), narrow(x)))',
  );
  expect(graph.nodes.filter(({ op, inputs }) => op === 'Cast' && inputs[0] === 'x:0')).toHaveLength(1);
});

test('products of other types stay', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2, 2], DType.int32);
  builder.result('y', builder.node('p', 'MatMul', [x, x], [2, 2], {}, DType.int32));
  const graph = builder.build();
  expect(bf16MatMul(graph)).toEqual(graph);
});

test('what is only moved between two products is never widened', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2, 6]);
  const first = builder.matMul('first', x, builder.input('w', [6, 6]), [2, 6]);
  const shaped = builder.reshape('shaped', first, [2, 6], [2, 2, 3]);
  const turned = builder.transpose('turned', shaped, [2, 2, 3], [1, 0, 2]);
  builder.result('y', builder.matMul('second', turned, builder.input('v', [2, 3, 3]), [2, 2, 3]));
  expect(expression(dropDead(moveCasts(bf16MatMul(builder.build()))), 'y')).toBe(
    'widen(BatchMatMulV2(Transpose(Reshape[2,2,3](BatchMatMulV2(narrow(x), narrow(w)))), narrow(v)))',
  );
});

test('what is computed for a product is rounded before it is moved', () => {
  const builder = new GraphBuilder();
  const computed = builder.node('computed', 'Exp', [builder.input('x', [2, 3])], [2, 3]);
  const turned = builder.transpose('turned', computed, [2, 3], [1, 0]);
  builder.result('y', builder.matMul('p', turned, builder.input('w', [2, 4]), [3, 4]));
  expect(expression(dropDead(moveCasts(bf16MatMul(builder.build()))), 'y')).toBe(
    'widen(BatchMatMulV2(Transpose(narrow(Exp(x))), narrow(w)))',
  );
});

test('what is cut and joined between two products is never widened, unless a part was computed otherwise', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [2, 2]);
  const first = builder.matMul('first', x, x, [2, 2]);
  const second = builder.matMul('second', first, x, [2, 2]);
  const joined = builder.node('joined', 'ConcatV2', [first, second, builder.ints('axis', [0])], [4, 2]);
  builder.result('y', builder.matMul('third', joined, x, [4, 2]));
  const mixed = builder.node('mixed', 'ConcatV2', [first, x, builder.ints('axis2', [0])], [4, 2]);
  builder.result('z', builder.matMul('fourth', mixed, x, [4, 2]));
  const graph = dropDead(moveCasts(bf16MatMul(builder.build())));
  expect(expression(graph, 'y')).toMatch(/^widen\(BatchMatMulV2\(ConcatV2\(BatchMatMulV2\(/);
  expect(expression(graph, 'z')).toMatch(/^widen\(BatchMatMulV2\(narrow\(ConcatV2\(widen\(/);
});
