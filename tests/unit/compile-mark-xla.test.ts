import { array, assert, constantFrom, nat, property, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DType, nodeOf, type Graph, type Ref } from '../../model/compile/ir.ts';
import { markXla } from '../../model/compile/passes/mark-xla.ts';
import { expression, GraphBuilder } from './compile-graphs.ts';

const SHAPE = [1024, 1024];

function scopesOf(graph: Graph): ReadonlyMap<string, unknown> {
  return new Map(graph.nodes.map((node) => [node.name, node.attributes['_XlaScope']?.value]));
}

describe('scopes', () => {
  test('a chain before a product and one behind it are two scopes, the product is in neither', () => {
    const builder = new GraphBuilder();
    const before = builder.node('e', 'Exp', [builder.node('n', 'Neg', [builder.input('x', SHAPE)], SHAPE)], SHAPE);
    const product = builder.matMul('p', before, before, SHAPE);
    builder.result('y', builder.node('s', 'Square', [builder.node('t', 'Tanh', [product], SHAPE)], SHAPE));
    const scopes = scopesOf(markXla(builder.build()));
    expect(scopes.get('n')).toBe(scopes.get('e'));
    expect(scopes.get('t')).toBe(scopes.get('s'));
    expect(scopes.get('t')).not.toBe(scopes.get('n'));
    expect(scopes.get('p')).toBeUndefined();
  });

  test('constants are copied into the scope that reads them', () => {
    const builder = new GraphBuilder();
    const doubled = builder.node('d', 'Mul', [builder.input('x', SHAPE), builder.scalar('two', 2)], SHAPE);
    builder.result('y', builder.node('e', 'Exp', [doubled], SHAPE));
    const graph = markXla(builder.build());
    const scopes = scopesOf(graph);
    const constant = nodeOf(graph.nodes.find(({ name }) => name === 'd')?.inputs[1] ?? 'none:0');
    expect(scopes.get(constant)).toBe(scopes.get('d'));
    expect(scopes.get('d')).toBeDefined();
  });

  test('a large constant is read from outside', () => {
    const builder = new GraphBuilder();
    const table = builder.ints(
      'table',
      Array.from({ length: 1024 }, (_, at) => at),
    );
    const sum = builder.node('sum', 'Add', [builder.input('x', SHAPE, DType.int32), table], SHAPE, {}, DType.int32);
    builder.result('y', builder.node('n', 'Neg', [sum], SHAPE, {}, DType.int32));
    const graph = markXla(builder.build());
    expect(graph.nodes.find(({ name }) => name === 'sum')?.inputs[1]).toBe(table);
    expect(scopesOf(graph).get('table')).toBeUndefined();
  });

  test('small chains are left alone', () => {
    const builder = new GraphBuilder();
    builder.result('y', builder.node('e', 'Exp', [builder.node('n', 'Neg', [builder.input('x', [4])], [4])], [4]));
    const graph = builder.build();
    expect(markXla(graph)).toEqual(graph);
  });

  test('a number computed from everything does not tie all that reads it into one scope', () => {
    const builder = new GraphBuilder();
    const [a, b] = ['a', 'b'].map((name) => builder.input(name, SHAPE));
    const norm = builder.node(
      'norm',
      'Sum',
      [builder.node('sum', 'Add', pair(a, b), SHAPE), builder.ints('axes', [0, 1])],
      [],
    );
    for (const [name, input] of [
      ['one', a],
      ['two', b],
    ] as const) {
      const scaled = builder.node(`${name}/scaled`, 'Mul', pair(input, norm), SHAPE);
      builder.result(`${name}/y`, builder.node(`${name}/end`, 'Tanh', [scaled], SHAPE));
    }
    const scopes = scopesOf(markXla(builder.build()));
    expect(new Set([scopes.get('norm'), scopes.get('one/end'), scopes.get('two/end')]).size).toBe(3);
  });

  test('whatever the graph, no way leads out of a scope and back into it', () => {
    const step = record({ op: constantFrom('Add', 'Mul', 'product'), a: nat(), b: nat() });
    assert(
      property(array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        const builder = new GraphBuilder();
        const values: Ref[] = [builder.input('x', SHAPE)];
        for (const [at, { op, a, b }] of steps.entries()) {
          const inputs = pair(values[a % values.length], values[b % values.length]);
          const [left, right] = inputs;
          values.push(
            op === 'product' ? builder.matMul(`n${at}`, left, right, SHAPE) : builder.node(`n${at}`, op, inputs, SHAPE),
          );
        }
        for (const [at, value] of values.entries()) builder.result(`y${at}`, value);
        expect(reentered(markXla(builder.build()))).toEqual([]);
      }),
    );
  });
});

describe('what is stored between scopes', () => {
  test('an activation is computed again from the product that it came from', () => {
    const builder = new GraphBuilder();
    const product = builder.matMul('p', builder.input('x', SHAPE), builder.input('w', SHAPE), SHAPE);
    const active = builder.node('sigmoid', 'Sigmoid', [product], SHAPE);
    const later = builder.matMul('q', builder.node('e', 'Exp', [active], SHAPE), builder.input('v', SHAPE), SHAPE);
    builder.result('y', builder.node('back', 'Mul', [later, active], SHAPE));
    const graph = markXla(builder.build());
    expect(expression(graph, 'y')).toBe(
      'Mul(BatchMatMulV2(Exp(Sigmoid(BatchMatMulV2(x, w))), v), Sigmoid(BatchMatMulV2(x, w)))',
    );
    expect(graph.nodes.filter(({ op }) => op === 'Sigmoid')).toHaveLength(2);
  });

  test('a sum of two large tensors is stored, since computing it again would read more', () => {
    const builder = new GraphBuilder();
    const [a, b] = ['a', 'b'].map((name) =>
      builder.matMul(name, builder.input(`${name}x`, SHAPE), builder.input(`${name}w`, SHAPE), SHAPE),
    );
    const sum = builder.node('sum', 'Add', pair(a, b), SHAPE);
    const later = builder.matMul('q', builder.node('e', 'Exp', [sum], SHAPE), builder.input('v', SHAPE), SHAPE);
    builder.result('y', builder.node('back', 'Mul', [later, sum], SHAPE));
    expect(markXla(builder.build()).nodes.filter(({ op }) => op === 'Add')).toHaveLength(1);
  });

  test('the rounded copy made for a product is read instead of the value, but not by sums', () => {
    const builder = new GraphBuilder();
    const value = builder.node(
      'value',
      'Softmax',
      [builder.matMul('p', builder.input('x', SHAPE), builder.input('w', SHAPE), SHAPE)],
      SHAPE,
    );
    const narrow = builder.cast('narrow', value, SHAPE, DType.float32, DType.bfloat16);
    const product = builder.node('q', 'MatMul', [narrow, narrow], SHAPE, {}, DType.bfloat16);
    const wide = builder.cast('wide', product, SHAPE, DType.bfloat16, DType.float32);
    builder.result('y', builder.node('times', 'Mul', [wide, value], SHAPE));
    builder.result('z', builder.node('plus', 'Add', [wide, value], SHAPE));
    const graph = markXla(builder.build());
    const softmax = 'Softmax(BatchMatMulV2(x, w))';
    expect(expression(graph, 'y')).toBe(
      `Mul(widen(MatMul(narrow(${softmax}), narrow(${softmax}))), widen(narrow(${softmax})))`,
    );
    expect(expression(graph, 'z')).toBe(`Add(widen(MatMul(narrow(${softmax}), narrow(${softmax}))), ${softmax})`);
  });
});

function pair(a: Ref | undefined, b: Ref | undefined): [Ref, Ref] {
  if (a === undefined || b === undefined) throw new RangeError('two inputs are needed');
  return [a, b];
}

/** Scopes that can be reached from themselves through a node outside. */
function reentered(graph: Graph): readonly string[] {
  const scopes = scopesOf(graph);
  const found = new Set<string>();
  for (const scope of new Set(scopes.values())) {
    if (typeof scope !== 'string') continue;
    const behind = new Set<string>();
    for (const { name, inputs } of graph.nodes) {
      const from = inputs.map(nodeOf);
      const isInside = scopes.get(name) === scope;
      if (isInside && from.some((input) => behind.has(input))) found.add(scope);
      if (!isInside && from.some((input) => behind.has(input) || scopes.get(input) === scope)) behind.add(name);
    }
  }
  return [...found];
}
