import fc from 'fast-check';
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
  expect(halves.map(({ outputs }) => outputs[0]?.shape)).toEqual([16, 8, 4, 2, 1].map((length) => [32, length]));
  const [stretches] = graph.nodes.filter(({ op }) => op === 'Sum');
  expect(stretches?.outputs[0]?.shape).toEqual([32, 32]);
});

test('stretches of a very long row lie close to one another', () => {
  const graph = splitReductions(reduced('Sum', [16 * 256 * 3], [0]));
  const cut = graph.nodes.find(({ op, outputs }) => op === 'Reshape' && outputs[0]?.shape.length === 3);
  expect(cut?.outputs[0]?.shape).toEqual([3, 16, 256]);
});

test('short rows, small tensors and sums over other axes stay', () => {
  for (const graph of [
    reduced('Sum', [4096, 8], [1]),
    reduced('Sum', [8, 64], [1]),
    reduced('Sum', [512, 64], [0]),
    reduced('Prod', [512, 64], [1]),
  ]) {
    expect(splitReductions(graph)).toEqual(graph);
  }
});

test('every entry is counted once, whatever the lengths', () => {
  const cases = fc.record({
    op: fc.constantFrom('Sum', 'Mean', 'Max'),
    rows: fc.integer({ min: 1, max: 3 }),
    length: fc.oneof(fc.integer({ min: 4096, max: 6000 }), fc.constantFrom(4096, 4608, 12_288, 65_536)),
  });
  fc.assert(
    fc.property(cases, ({ op, rows, length }) => {
      const values = Float64Array.from({ length: rows * length }, (_, at) => (at * 7919) % 1013);
      const { nodes } = splitReductions(reduced(op, [rows, length], [1]));
      for (let row = 0; row < rows; row++) {
        const own = values.subarray(row * length, (row + 1) * length);
        const sum = own.reduce((a, b) => a + b, 0);
        const expected = { Sum: sum, Mean: sum / length, Max: Math.max(...own) }[op] ?? Number.NaN;
        expect(evaluate(nodes, values)[row]).toBeCloseTo(expected, op === 'Mean' ? 3 : 6);
      }
    }),
    { numRuns: 40 },
  );
});

test('a softmax is written out', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [8, 64]);
  builder.result('y', builder.node('s', 'Softmax', [x], [8, 64]));
  const shifted = 'Sub(x, Max(x))';
  expect(expression(expandSoftmax(builder.build()), 'y')).toBe(`RealDiv(Exp(${shifted}), Sum(Exp(${shifted})))`);
});

/** What the last node but one comes to: a small interpreter of the operations that the pass writes. */
function evaluate(nodes: Graph['nodes'], x: Float64Array): Float64Array {
  const values = new Map<string, Float64Array>();
  for (const { name, op, inputs, attributes, outputs } of nodes) {
    const [a = new Float64Array(), b = new Float64Array(), c = new Float64Array()] = inputs.map(
      (input) => values.get(input.slice(0, input.lastIndexOf(':'))) ?? new Float64Array(),
    );
    const shape = outputs[0]?.shape ?? [];
    const size = shape.reduce((product, length) => product * length, 1);
    const fill = (entry: (at: number) => number): Float64Array =>
      Float64Array.from({ length: size }, (_, at) => entry(at));
    const lanes = shape.at(-1) ?? 1;
    if (op === 'Placeholder') values.set(name, x);
    else if (op === 'Const') values.set(name, constant(attributes['value']));
    else if (op === 'Reshape' || op === 'Identity') values.set(name, a);
    else if (op === 'Slice') {
      const length = a.length / (size / lanes);
      values.set(
        name,
        fill((at) => a[Math.floor(at / lanes) * length + (b[1] ?? 0) + (at % lanes)] ?? Number.NaN),
      );
      expect(c[1]).toBe(lanes);
    } else if (op === 'AddV2')
      values.set(
        name,
        fill((at) => (a[at] ?? 0) + (b[at] ?? 0)),
      );
    else if (op === 'Maximum')
      values.set(
        name,
        fill((at) => Math.max(a[at] ?? 0, b[at] ?? 0)),
      );
    else if (op === 'Mul')
      values.set(
        name,
        fill((at) => (a[at] ?? 0) * (b[0] ?? 0)),
      );
    else {
      const inner = nodes.find((node) => `${node.name}:0` === inputs[0])?.outputs[0]?.shape.length === 3 ? lanes : 1;
      const length = a.length / size;
      values.set(
        name,
        fill((at) => {
          const start = Math.floor(at / inner) * inner * length + (at % inner);
          const own = Array.from({ length }, (_, k) => a[start + k * inner] ?? Number.NaN);
          return op === 'Max' ? Math.max(...own) : own.reduce((sum, value) => sum + value, 0);
        }),
      );
    }
  }
  return values.get('result') ?? new Float64Array();
}

function constant(value: Graph['nodes'][number]['attributes'][string] | undefined): Float64Array {
  if (value?.kind !== 'tensor') return new Float64Array();
  const { dtype, bytes } = value.value;
  const { buffer } = bytes.slice();
  return Float64Array.from(dtype === DType.float32 ? new Float32Array(buffer) : new Int32Array(buffer));
}
