import { describe, expect, test } from 'vitest';
import { muon, orthogonalize } from '../../model/muon.ts';
import { Random } from '../../model/random.ts';
import { tf } from '../../model/tf.ts';

function randomMatrix(rows: number, columns: number, seed: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: rows * columns }, () => random.normal());
}

/** Length of the matrix's product with a vector: between its smallest and its greatest singular value, of unit vectors. */
function stretch(matrix: number[], columns: number, vector: readonly number[]): number {
  const rows = matrix.length / columns;
  const product = Array.from({ length: rows }, (_, row) =>
    vector.reduce((sum, value, column) => sum + value * (matrix[row * columns + column] ?? Number.NaN), 0),
  );
  return Math.hypot(...product) / Math.hypot(...vector);
}

describe('orthogonalizing', () => {
  test.each([
    ['square', 6, 6],
    ['tall', 24, 6],
  ])('brings every direction of a %s matrix to about one length', (_name, rows, columns) => {
    const values = randomMatrix(rows, columns, 1);
    const result = [...orthogonalize(tf.tensor2d(values, [rows, columns])).dataSync()];
    for (let seed = 2; seed < 30; seed++) {
      const length = stretch(result, columns, randomMatrix(columns, 1, seed));
      expect(length).toBeGreaterThan(0.5);
      expect(length).toBeLessThan(1.3);
    }
  });

  test('treats a wide matrix as the tall one on its side', () => {
    const tall = tf.tensor2d(randomMatrix(12, 4, 1), [12, 4]);
    const wide = orthogonalize(tall.transpose()).transpose().dataSync();
    orthogonalize(tall)
      .dataSync()
      .forEach((value, at) => expect(value).toBeCloseTo(wide[at] ?? Number.NaN, 5));
  });

  // For the diagonal of 3 and 4, the norm is 5: 0.6 and 0.8 go through the polynomial five times.
  test('follows the polynomial done by hand', () => {
    const polynomial = (x: number): number => 3.4445 * x - 4.775 * x ** 3 + 2.0315 * x ** 5;
    const five = (x: number): number => Array.from({ length: 5 }).reduce<number>(polynomial, x);
    const result = orthogonalize(tf.tensor2d([3, 0, 0, 4], [2, 2])).dataSync();
    [five(0.6), 0, 0, five(0.8)].forEach((expected, at) => expect(result[at]).toBeCloseTo(expected, 5));
  });
});

describe('Muon', () => {
  // A matrix of one column has one singular value, so that its direction is the unit vector times what 1 becomes.
  test('moves by the rate along the mean of gradients, whatever their length, and decays', () => {
    const one = Array.from({ length: 5 }).reduce<number>((x) => 3.4445 * x - 4.775 * x ** 3 + 2.0315 * x ** 5, 1);
    const state = { parameter: tf.tensor2d([[1], [2]]), mean: tf.zeros([2, 1]) };
    const settings = { momentum: 0.9, weightDecay: 0.5 };
    for (const length of [1, 100]) {
      const gradient = tf.tensor2d([[0.6 * length], [0.8 * length]]);
      const next = muon(state, gradient, tf.scalar(0.1), settings);
      const moved = next.parameter.dataSync();
      expect(moved[0]).toBeCloseTo(1 - 0.1 * (0.6 * one * Math.SQRT2 + 0.5), 4);
      expect(moved[1]).toBeCloseTo(2 - 0.1 * (0.8 * one * Math.SQRT2 + 1), 4);
      expect(next.mean.dataSync()[1]).toBeCloseTo(0.08 * length, 5);
    }
  });
});
