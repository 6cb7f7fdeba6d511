import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { compiledDecoding } from '../../model/decode-engine.ts';
import { createSampler } from '../../model/index.ts';
import { initialWeights } from '../../model/init.ts';
import { tf } from '../../model/tf.ts';
import { forward } from '../../model/transformer.ts';
import { startTransformers, writeModel } from '../bench/speakers.ts';
import { knownVariants, tinyWeights } from '../numerics/tiny-model.ts';

/* Hugging Face transformers reads the weights that we write, and makes the same of them. */

const SEED = 7;
const TOKENS = 8;
const PROMPT = [1, 5, 3, 16, 0, 7];

const folder = mkdtempSync(join(tmpdir(), 'millrace-interop-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(knownVariants)('$name', ({ name, config }) => {
  test('transformers has the same logits, and always the same likeliest token', async () => {
    const model = writeModel(join(folder, name), config, initialWeights(config, SEED));
    const theirs = await startTransformers('transformers', model, 'dynamic');
    try {
      const logits = await theirs.logits(Int32Array.from(PROMPT));
      const ours = tf.tidy(() =>
        forward(tinyWeights(config, SEED), config, tf.tensor2d([PROMPT], undefined, 'int32')).dataSync(),
      );
      expect(logits.flat()).toHaveLength(ours.length);
      logits.flat().forEach((logit, at) => expect(logit).toBeCloseTo(ours[at] ?? Number.NaN, 4));

      const { tokens } = await theirs.speak([Int32Array.from(PROMPT)], TOKENS);
      expect([said(model.weights)]).toEqual(tokens);
    } finally {
      await theirs.close();
    }
  });
});

function said(path: string): readonly number[] {
  const sampler = createSampler(compiledDecoding('f32'));
  sampler.load(path);
  const greedy = { temperature: 0, topK: 0, topP: 1, seed: 1, stopTokens: [] };
  sampler.submit('one', { ...greedy, prompt: Int32Array.from(PROMPT), maxTokens: TOKENS });
  const tokens: number[] = [];
  while (sampler.busy) tokens.push(...sampler.step().flatMap((delta) => [...delta.tokens]));
  sampler.dispose();
  return tokens;
}
