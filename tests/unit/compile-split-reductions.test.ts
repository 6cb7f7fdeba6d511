import { expect, test } from 'vitest';
import { intConstant, reductionNode } from '../../model/compile/build.ts';
import { DType, ref, type Graph } from '../../model/compile/ir.ts';
import { expandSoftmax } from '../../model/compile/passes/expand-softmax.ts';
import { splitReductions } from '../../model/compile/passes/split-reductions.ts';
import { expression, GraphBuilder } from './compile-graphs.ts';

function reduced(op: string, shape: readonly number[], axes: readonly number[], keepsAxes = false): Graph {
  const builder = new GraphBuilder();
  const x = builder.input('x', shape);
  const kept = shape.flatMap((size, axis) => (axes.includes(axis) ? (keepsAxes ? [1] : []) : [size]));
  const inputs = [x, ref(intConstant('axes', axes))];
  const node = reductionNode('y', op, inputs, { dtype: DType.float32, shape: kept }, keepsAxes);
  const { nodes } = builder.build();
  const result = { ...node, name: 'result', op: 'Identity', inputs: [ref(node)] };
  return { nodes: [...nodes, intConstant('axes', axes), node, result], results: ['result'] };
}

test('a long row is cut into stretches, and halved where it has become short', () => {
  const graph = splitReductions(reduced('Sum', [32, 512], [1]));
  const halves = graph.nodes.filter(({ op }) => op === 'AddV2');
  expect(halves.map(({ outputs }) => outputs[0]?.shape)).toEqual([16, 8, 4, 2, 1].map((length) => [32, length, 1]));
  const stretches = graph.nodes.find(({ op }) => op === 'Sum');
  expect(stretches?.outputs[0]?.shape).toEqual([32, 32]);
});

test('stretches of a very long row lie close to one another', () => {
  const graph = splitReductions(reduced('Sum', [16 * 256 * 3], [0]));
  const cut = graph.nodes.find(({ op, outputs }) => op === 'Reshape' && outputs[0]?.shape.length === 3);
  expect(cut?.outputs[0]?.shape).toEqual([3, 16, 256]);
});

test('sums over the first axis are cut once, into neighbouring rows', () => {
  const graph = splitReductions(reduced('Sum', [2048, 96], [0]));
  const sums = graph.nodes.filter(({ op }) => op === 'Sum');
  expect(sums.map(({ outputs }) => outputs[0]?.shape)).toEqual([[128, 96]]);
  expect(expression(graph, 'result')).toMatch(/Sum\(Reshape\[128,16,96\]\(x\)\)/);
});

test('short rows, small tensors and sums over axes that are no neighbours stay', () => {
  for (const graph of [
    reduced('Sum', [4096, 8], [1]),
    reduced('Sum', [8, 64], [1]),
    reduced('Sum', [32, 16, 32], [0, 2]),
    reduced('Prod', [512, 64], [1]),
  ]) {
    expect(splitReductions(graph)).toEqual(graph);
  }
});

test('a softmax is written out', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [8, 64]);
  builder.result('y', builder.node('s', 'Softmax', [x], [8, 64]));
  const shifted = 'Sub(x, Max(x))';
  expect(expression(expandSoftmax(builder.build()), 'y')).toBe(`RealDiv(Exp(${shifted}), Sum(Exp(${shifted})))`);
});
