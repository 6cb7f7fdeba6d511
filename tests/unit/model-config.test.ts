import { describe, expect, test } from 'vitest';
import { checkStepInput } from '../../model/check-input.ts';
import { countParameters, parameterShapes, parseModelConfig } from '../../model/config.ts';
import type { ModelConfig } from '../../model/config.ts';
import { initialWeights } from '../../model/init.ts';
import { presets } from '../../model/presets.ts';
import { Random } from '../../model/random.ts';
import { parseTrainerSettings } from '../../model/settings.ts';

const { nano, small, base } = presets;

function weightsOf(change: Partial<ModelConfig>, seed = 1): Map<string, Float32Array> {
  return initialWeights({ ...nano.model, ...change }, seed);
}

function deviation(values: ArrayLike<number> = []): number {
  return Math.hypot(...Array.from(values)) / Math.sqrt(values.length);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function draw(seed: number): number[] {
  const random = new Random(seed);
  return [random.bits(), random.bits(), random.bits()];
}

describe('presets', () => {
  test.each([
    ['nano', nano, 0.82],
    ['small', small, 13.77],
    ['base', base, 123.59],
  ])('%s has the parameters that it says', (_, { model, optimizer, schedule }, millions) => {
    expect(countParameters(model) / 1e6).toBeCloseTo(millions, 2);
    expect(parseTrainerSettings({ model, optimizer, schedule, seed: 1, accumulate: 1 }).model).toEqual(model);
  });
});

describe('the config', () => {
  test.each([
    ['heads that do not share evenly', { kvHeads: 3 }, 'kvHeads'],
    ['an odd head', { headDim: 31 }, 'headDim'],
    ['no layers', { layers: 0 }, 'layers'],
    ['a key that there is not', { dropout: 0.1 }, 'dropout'],
  ])('with %s is refused, and the field named', (_, change, field) => {
    const error = expect.objectContaining({ code: 'config-invalid', message: expect.stringContaining(field) });
    expect(() => parseModelConfig({ ...nano.model, ...change })).toThrow(error);
  });

  test('names its tensors as Hugging Face does', () => {
    const names = [...parameterShapes({ ...nano.model, layers: 1, tieEmbeddings: false }).keys()];
    expect(names.map((name) => name.replace(/^model\.layers\.0\./, '0.'))).toEqual([
      'model.embed_tokens.weight',
      '0.input_layernorm.weight',
      '0.self_attn.q_proj.weight',
      '0.self_attn.k_proj.weight',
      '0.self_attn.v_proj.weight',
      '0.self_attn.q_norm.weight',
      '0.self_attn.k_norm.weight',
      '0.self_attn.o_proj.weight',
      '0.post_attention_layernorm.weight',
      '0.mlp.gate_proj.weight',
      '0.mlp.up_proj.weight',
      '0.mlp.down_proj.weight',
      'model.norm.weight',
      'lm_head.weight',
    ]);
  });
});

describe('the first weights', () => {
  const output = 'model.layers.3.mlp.down_proj.weight';

  test('are the same for the same seed, whatever else there is', () => {
    const name = 'model.layers.2.mlp.up_proj.weight';
    expect(weightsOf({}).get(name)).toEqual(weightsOf({ layers: 3, tieEmbeddings: false }).get(name));
    expect(weightsOf({}).get(name)).not.toEqual(weightsOf({}, 2).get(name));
  });

  test('have the deviation of the config, and less or none into the residual stream', () => {
    expect(deviation(weightsOf({}).get('model.layers.3.mlp.up_proj.weight'))).toBeCloseTo(0.02, 3);
    expect(deviation(weightsOf({ zeroInit: false }).get(output))).toBeCloseTo(0.02 / Math.sqrt(8), 3);
    expect(deviation(weightsOf({ zeroInit: true }).get(output))).toBe(0);
  });
});

describe('the random generator', () => {
  test('is uniform and normal where it says so', () => {
    const random = new Random(3);
    const uniforms = Array.from({ length: 20_000 }, () => random.uniform());
    const normals = Array.from({ length: 20_000 }, () => random.normal());
    expect(mean(uniforms)).toBeCloseTo(1 / 2, 2);
    expect(mean(uniforms.map((value) => value ** 2))).toBeCloseTo(1 / 3, 2);
    expect(Math.abs(mean(normals))).toBeLessThan(0.02);
    expect(mean(normals.map((value) => value ** 2))).toBeCloseTo(1, 1);
    expect(mean(normals.map((value) => value ** 4))).toBeCloseTo(3, 0);
  });

  test('repeats itself from the same seed only', () => {
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });
});

describe('a batch that the model cannot take is refused', () => {
  const good = {
    rows: 1,
    context: 2,
    ids: Int32Array.of(1, 2),
    targets: Int32Array.of(2, 3),
    lossMask: Float32Array.of(1, 1),
  };

  test.each([
    ['a row too long', { context: 65 }, 'shape-mismatch', 'maxContext'],
    ['too few targets', { targets: Int32Array.of(1) }, 'shape-mismatch', 'targets'],
    ['segments of another length', { segments: Int32Array.of(1) }, 'shape-mismatch', 'segments'],
    ['no rows', { rows: 0, ids: new Int32Array() }, 'shape-mismatch', 'ids'],
    ['a token beyond the vocabulary', { ids: Int32Array.of(1, 512) }, 'input-invalid', 'ids[1]'],
    ['a negative target', { targets: Int32Array.of(-1, 0) }, 'input-invalid', 'targets[0]'],
  ])('%s', (_, change, code, word) => {
    const error = expect.objectContaining({ code, message: expect.stringContaining(word) });
    expect(() => checkStepInput({ ...good, ...change }, nano.model)).toThrow(error);
  });

  test('and a good one is not', () => {
    expect(() => checkStepInput(good, nano.model)).not.toThrow();
  });
});
