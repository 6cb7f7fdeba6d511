import { from } from 'rxjs';
import { expect, test } from 'vitest';
import { createSampler, createTrainer, readWeights } from '../../model/index.ts';
import type { ModelSampler, StepInput } from '../../model/index.ts';
import { mergeWeights } from '../../model/weights/merge-weights.ts';
import type { SampleDelta, Sampler, Tokenizer } from '../../operators/ports.ts';
import { asDocument, scoredAtOnce, scorerOf } from '../../pipelines/evaluation/scorer.ts';
import { figuresOfText } from '../../pipelines/evaluation/text-figures.ts';
import { windowsOf } from '../../pipelines/evaluation/windows.ts';
import { deltasOf, engines, fileOf } from './speaking.ts';
import { tinyConfig, tinySettings } from './tiny-model.ts';

/** A token for each of the letters a to p, and one for the end of a text. */
const tokenizer: Tokenizer = {
  vocabSize: tinyConfig.vocabSize,
  endOfText: 16,
  encode: async (text) => Int32Array.from(Buffer.from(text), (byte) => byte - 97),
  decode: (tokens) => Uint8Array.from(tokens, (token) => token + 97),
};
const TEXT = 'the mill by the millrace'.replaceAll(/[^a-p]/g, '').repeat(3);
const size = scoredAtOnce(tinyConfig.maxContext);

/** A sampler of this process as the port has it. */
function portOf(sampler: ModelSampler): Pick<Sampler, 'sample'> {
  const weights = { id: '000000001', step: 1 };
  return {
    sample(request) {
      sampler.submit('scored', request);
      const deltas = deltasOf(sampler).map(({ id: _id, version: _version, ...delta }): SampleDelta => {
        return { ...delta, weights };
      });
      return from(deltas);
    },
  };
}

test.each(engines)("bits per byte are the trainer's loss on the same rows: %s", async (_, engine) => {
  const path = fileOf('evaluated');
  const sampler = createSampler(engine);
  sampler.load(path);
  const trainer = createTrainer(tinySettings);
  trainer.restore(null);
  const document = asDocument(await tokenizer.encode(TEXT), tokenizer);
  for (const stride of [size - 1, Math.floor(size / 2), 1]) {
    const scoring = { score: scorerOf(portOf(sampler)), tokenizer, size, stride };
    const { bits, bytes, tokens } = await figuresOfText(TEXT, scoring);
    const windows = windowsOf(document.length, size, stride);
    const nats = windows
      .map((window) => rowOf(document, window))
      .map((row) => trainer.evaluate(row) * row.lossMask.reduce((sum, counted) => sum + counted, 0))
      .reduce((sum, each) => sum + each, 0);
    expect({ bytes, tokens }).toEqual({ bytes: TEXT.length, tokens: TEXT.length });
    expect(bits / bytes).toBeCloseTo(nats / Math.LN2 / TEXT.length, 5);
  }
  trainer.dispose();
  sampler.dispose();
});

/** A window as the trainer takes it: what is only context is hidden from the loss. */
function rowOf(document: Int32Array, { from: begin, counted, to }: ReturnType<typeof windowsOf>[number]): StepInput {
  const targets = document.slice(begin + 1, to);
  const lossMask = Float32Array.from(targets, (_, at) => (begin + 1 + at >= counted ? 1 : 0));
  return { rows: 1, context: targets.length, ids: document.slice(begin, to - 1), targets, lossMask };
}

test('merged weights are the mean of each weight, and of one file the file', () => {
  const paths = [1, 2, 3].map((seed) => fileOf(`merged-${seed}`, tinyConfig, seed));
  const sets = paths.map((path) => readWeights(path).weights);
  const { config, weights } = mergeWeights(paths);
  expect(config).toEqual(tinyConfig);
  for (const [name, values] of weights) {
    const mean = values.map((_, at) => sets.reduce((sum, set) => sum + (set.get(name)?.[at] ?? NaN), 0) / sets.length);
    expect(values, name).toEqual(mean);
  }
  expect(mergeWeights(paths.slice(0, 1)).weights).toEqual(sets[0]);
  const other = fileOf('other', { ...tinyConfig, kvHeads: 4 });
  expect(() => mergeWeights([...paths, other])).toThrow('k_proj');
  expect(() => mergeWeights([])).toThrow('no weights');
});
