import { expect, test } from 'vitest';
import { trace } from '../../model/compile/trace.ts';
import type { GraphNode } from '../../model/compile/ir.ts';
import { tf } from '../../model/tf.ts';

function opsOf(nodes: readonly GraphNode[]): ReadonlySet<string> {
  return new Set(nodes.map(({ op }) => op));
}

test('what follows from constants alone is a constant of the graph', () => {
  const { graph } = trace({
    name: 'turn',
    inputs: { x: { shape: [3], dtype: 'float32' } },
    variables: {},
    captured: [],
    fn: ({ x }) => ({
      outputs: {
        y: tf
          .range(0, 3)
          .cos()
          .mul(x ?? tf.scalar(0)),
      },
    }),
  });
  const ops = opsOf(graph.nodes);
  expect(ops).toContain('Mul');
  expect(ops).not.toContain('Range');
  expect(ops).not.toContain('Cos');
});

test('random numbers that TensorFlow draws are drawn at every call', () => {
  const { graph } = trace({
    name: 'noise',
    inputs: {},
    variables: {},
    captured: [],
    fn: () => ({ outputs: { y: tf.multinomial(tf.tensor2d([[0.5, 0.5]]), 4) } }),
  });
  expect(opsOf(graph.nodes)).toContain('Multinomial');
});
