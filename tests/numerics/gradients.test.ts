import { describe, expect, test } from 'vitest';
import { parameterShapes } from '../../model/config.ts';
import type { ModelConfig } from '../../model/config.ts';
import { initialWeights } from '../../model/init.ts';
import { countTargets, lossOf } from '../../model/loss.ts';
import { Random } from '../../model/random.ts';
import type { Values } from '../../model/step-runner.ts';
import { tf } from '../../model/tf.ts';
import { toBatchTensors, toParameters } from '../../model/to-tensors.ts';
import { accumulateGradients } from '../../model/train-step.ts';
import { randomBatch, tinySettings, variants } from './tiny-model.ts';

const segments = Int32Array.from({ length: 16 }, (_, at) => (at % 8 < 5 ? 0 : 1));
const lossMask = Float32Array.from({ length: 16 }, (_, at) => (at % 7 === 0 ? 0 : 1));
const input = { ...randomBatch(11), segments, lossMask };

function unit(values: Float32Array): Float32Array {
  return values.map((value) => value / Math.hypot(...values));
}

/** A direction that has a share of the gradient and a share of everything else. */
function direction(gradient: Float32Array): Float32Array {
  const random = new Random(gradient.length);
  const noise = unit(gradient.map(() => random.normal()));
  return unit(unit(gradient).map((value, at) => value + (noise[at] ?? 0)));
}

function lossAt(config: ModelConfig, weights: Values): number {
  return tf.tidy(() => {
    const batch = toBatchTensors(input);
    const parameters = toParameters(weights, parameterShapes(config));
    return lossOf(parameters, config, batch, countTargets(batch.lossMask)).dataSync()[0] ?? NaN;
  });
}

function gradientsOf(config: ModelConfig, weights: Values): Values {
  const gradients = new Map<string, Float32Array>();
  tf.tidy(() => {
    const parameters = toParameters(weights, parameterShapes(config));
    const computed = accumulateGradients({ ...tinySettings, model: config }, parameters, toBatchTensors(input));
    for (const [name, tensor] of Object.entries(computed.gradients)) gradients.set(name, tensor.dataSync<'float32'>());
  });
  return gradients;
}

describe.each(variants)('$name', ({ config }) => {
  const weights = initialWeights(config, 7);
  const gradients = gradientsOf(config, weights);

  test.each([...parameterShapes(config).keys()])('the gradient of %s is its finite difference', (name) => {
    const gradient = gradients.get(name) ?? new Float32Array();
    const along = direction(gradient);
    const values = weights.get(name) ?? new Float32Array();
    const moved = (step: number): number =>
      lossAt(config, new Map([...weights, [name, values.map((value, at) => value + step * (along[at] ?? 0))]]));
    const step = 0.01;
    const slope = (moved(step) - moved(-step)) / (2 * step);
    const expected = gradient.reduce((sum, value, at) => sum + value * (along[at] ?? 0), 0);
    expect(Math.abs(expected)).toBeGreaterThan(1e-3);
    expect(Math.abs(slope - expected)).toBeLessThan(1e-4 + 0.01 * Math.abs(expected));
  });
});

test('a batch in parts has the loss and gradient of the whole', () => {
  const figures = [1, 2].map((accumulate) =>
    tf.tidy(() => {
      const { model } = tinySettings;
      const parameters = toParameters(initialWeights(model, 7), parameterShapes(model));
      const { loss, gradients } = accumulateGradients(
        { ...tinySettings, accumulate },
        parameters,
        toBatchTensors(input),
      );
      return [loss, ...Object.values(gradients)].flatMap((tensor) => [...tensor.dataSync()]);
    }),
  );
  figures[0]?.forEach((figure, at) => expect(figures[1]?.[at]).toBeCloseTo(figure, 5));
});
