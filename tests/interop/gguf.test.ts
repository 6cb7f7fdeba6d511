import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compiledDecoding } from '../../model/decode-engine.ts';
import { createSampler, loadTokenizer, trainTokenizer, writeTokenizerFile } from '../../model/index.ts';
import { initialWeights } from '../../model/init.ts';
import { exportGguf } from '../../model/interchange/gguf-export.ts';
import { writeWeights } from '../../model/weights/weights-file.ts';
import { sotuRecords } from '../../pipelines/job/feeds/sotu.ts';
import { askLlama } from '../support/llama-cpp.ts';
import { tinyConfig } from '../numerics/tiny-model.ts';

/* llama.cpp runs what we export, and says the same. */

const TOKENS = 24;
const PROMPT = 'The people of 1790';
const TEXTS = ["It's  12345 o'clock,\n\n naïve\tcafé — 漢字 x2y  \n", '<|endoftext|> is text', 'We the people'];

const base = { ...tinyConfig, hiddenSize: 64, headDim: 16, intermediateSize: 96, maxContext: 64, ropeTheta: 5000 };
const models = [
  { name: 'Qwen3, tied', dtype: 'F32', config: { ...base, tieEmbeddings: true } },
  { name: 'Llama, grouped queries', dtype: 'F32', config: { ...base, qkNorm: false } },
  { name: 'Llama in f16', dtype: 'F16', config: { ...base, qkNorm: false, kvHeads: 4, tieEmbeddings: true } },
] as const;

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-gguf-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

describe.each(models)('$name', ({ config: shape, dtype, name }) => {
  test('llama.cpp has the same tokens, and says the same', async () => {
    const [address] = await sotuRecords();
    const text = Buffer.from(address?.value ?? '').toString();
    const [tokenizer, weights, gguf] = [at('tokenizer.json'), at('weights.safetensors'), at('model.gguf')];
    writeTokenizerFile(tokenizer, trainTokenizer([text], 600));
    const ours = loadTokenizer(tokenizer);
    const config = { ...shape, vocabSize: ours.vocabSize };
    // Numbers that f16 holds, too, so that both sides have the same.
    const values = new Map(
      [...initialWeights(config, 7)].map(([key, data]) => [key, data.map((x) => Math.round(x * 256) / 256)]),
    );
    writeWeights(weights, { config, weights: values });
    await exportGguf({ weights, tokenizer }, gguf, dtype, name);

    const { begins, tokens, said, text: spoken } = await askLlama(gguf, TEXTS, PROMPT, TOKENS);
    expect(begins).toBe(true);
    expect(tokens).toEqual(await Promise.all(TEXTS.map(async (each) => [...(await ours.encode(each))])));
    const prompt = Int32Array.from([ours.endOfText, ...(await ours.encode(PROMPT))]);
    const expected = say(weights, prompt);
    expect(said).toEqual(expected);
    expect(spoken).toBe(Buffer.from(ours.decode(Int32Array.from(expected))).toString());
  });
});

function at(file: string): string {
  return join(scratch, file);
}

function say(weights: string, prompt: Int32Array): readonly number[] {
  const sampler = createSampler(compiledDecoding('f32'));
  sampler.load(weights);
  sampler.submit('one', { prompt, maxTokens: TOKENS, temperature: 0, topK: 0, topP: 1, seed: 1, stopTokens: [] });
  const tokens: number[] = [];
  while (sampler.busy) tokens.push(...sampler.step().flatMap((delta) => [...delta.tokens]));
  sampler.dispose();
  return tokens;
}
