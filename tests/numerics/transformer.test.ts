import { describe, expect, test } from 'vitest';
import { initialWeights } from '../../model/init.ts';
import { countTargets, lossOf } from '../../model/loss.ts';
import { tf } from '../../model/tf.ts';
import { toBatchTensors } from '../../model/to-tensors.ts';
import { forward } from '../../model/transformer.ts';
import { plainForward } from './plain-transformer.ts';
import { randomBatch, tinyConfig, tinyWeights, variants } from './tiny-model.ts';

const weights = tinyWeights(tinyConfig);

function logitsOf(ids: readonly number[], segments?: readonly number[]): number[][] {
  return tf.tidy(() => {
    const options = segments ? { segments_BT: tf.tensor2d([[...segments]], undefined, 'int32') } : {};
    return forward(weights, tinyConfig, tf.tensor2d([[...ids]], undefined, 'int32'), options)
      .as2D(ids.length, 17)
      .arraySync();
  });
}

function logitsFrom(start: number): Float32Array {
  return tf.tidy(() => {
    const positions_BT = tf.range(start, start + 6, 1, 'int32').expandDims(0);
    const ids = tf.tensor2d([[1, 2, 3, 4, 5, 6]], undefined, 'int32');
    return forward(weights, tinyConfig, ids, { positions_BT }).dataSync<'float32'>();
  });
}

function lossWith(lossMask: Float32Array, targets: Int32Array = randomBatch(5).targets): number {
  return tf.tidy(() => {
    const batch = toBatchTensors({ ...randomBatch(5), targets, lossMask });
    return lossOf(weights, tinyConfig, batch, countTargets(batch.lossMask)).dataSync()[0] ?? NaN;
  });
}

describe.each(variants)('$name', ({ config }) => {
  test('gives the logits of the plain formulas', () => {
    const { rows, context, ids } = randomBatch(3);
    const logits = tf.tidy(() => forward(tinyWeights(config), config, tf.tensor2d(ids, [rows, context])).dataSync());
    const values = initialWeights(config, 7);
    const expected = [0, 1].flatMap((row) =>
      plainForward(values, config, Array.from(ids.subarray(row * context, (row + 1) * context))),
    );
    expect(logits.length).toBe(expected.flat().length);
    expected.flat().forEach((logit, at) => expect(logits[at]).toBeCloseTo(logit, 4));
  });
});

describe('what a position sees', () => {
  test('nothing that comes after it', () => {
    const one = logitsOf([1, 2, 3, 4, 5, 6]);
    const other = logitsOf([1, 2, 3, 9, 8, 7]);
    expect(other.slice(0, 3)).toEqual(one.slice(0, 3));
    expect(other[3]).not.toEqual(one[3]);
  });

  test('nothing of another document, where segments are given', () => {
    const segments = [0, 0, 0, 1, 1, 1];
    const one = logitsOf([1, 2, 3, 4, 5, 6], segments);
    const other = logitsOf([9, 8, 7, 4, 5, 6], segments);
    expect(other.slice(3)).toEqual(one.slice(3));
    expect(other[2]).not.toEqual(one[2]);
    expect(logitsOf([9, 8, 7, 4, 5, 6])[3]).not.toEqual(logitsOf([1, 2, 3, 4, 5, 6])[3]);
  });

  test('a document reads the same wherever in the row it stands', () => {
    const alone = logitsOf([4, 5, 6]);
    const packed = logitsOf([1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1]).slice(3);
    packed.flat().forEach((logit, at) => expect(logit).toBeCloseTo(alone.flat()[at] ?? NaN, 4));
  });
});

test('only the distance between positions counts, not where they are', () => {
  const shifted = logitsFrom(9);
  logitsFrom(0).forEach((logit, index) => expect(shifted[index]).toBeCloseTo(logit, 4));
});

describe('loss', () => {
  test('does not depend on targets that the mask hides', () => {
    const mask = Float32Array.from({ length: 16 }, (_, at) => (at % 3 === 0 ? 1 : 0));
    const { targets } = randomBatch(5);
    const changed = targets.map((target, at) => (mask[at] === 1 ? target : 0));
    expect(lossWith(mask, changed)).toBe(lossWith(mask, targets));
    expect(lossWith(mask)).not.toBe(lossWith(new Float32Array(16).fill(1)));
  });

  test('is the mean over the counted targets', () => {
    const each = Array.from({ length: 16 }, (_, at) => lossWith(new Float32Array(16).fill(1, at, at + 1)));
    const mean = each.reduce((sum, loss) => sum + loss, 0) / 16;
    expect(lossWith(new Float32Array(16).fill(1))).toBeCloseTo(mean, 5);
  });

  test('is 0 where nothing counts', () => {
    expect(lossWith(new Float32Array(16))).toBe(0);
  });
});
