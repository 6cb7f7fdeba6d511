import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrainer, parameterShapes } from '../../model/index.ts';
import type { ModelConfig } from '../../model/index.ts';
import { initialWeights } from '../../model/init.ts';
import { exportHuggingFace } from '../../model/interchange/hugging-face-export.ts';
import { openHuggingFace } from '../../model/interchange/hugging-face-import.ts';
import type { Values } from '../../model/step-runner.ts';
import { tf } from '../../model/tf.ts';
import { toParameters } from '../../model/to-tensors.ts';
import { byteTokenizerFile, writeTokenizerFile } from '../../model/tokenizer/tokenizer-file.ts';
import { forward } from '../../model/transformer.ts';
import { streamWeights, writeWeights } from '../../model/weights/weights-file.ts';
import { filesSchema, loadedSchema, logitsSchema, lossesSchema, startHuggingFace } from '../support/hugging-face.ts';
import type { HuggingFace } from '../support/hugging-face.ts';
import { knownVariants, randomBatch, tinySettings } from '../numerics/tiny-model.ts';

/* Models go to Hugging Face transformers and come from it, and compute the same on both sides. */

/** Tokens of a vocabulary of bytes. */
const VOCABULARY = 257;
const PROMPT = [1, 5, 3, 256, 0, 7, 200, 31];
const STEPS = 20;
const UNTOUCHED = { format: 1, steps: 0, updates: 0, tokens: 0 };

let scratch: string;
let theirs: HuggingFace;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-interchange-'));
  theirs = await startHuggingFace();
});
afterAll(async () => {
  await theirs.close();
  rmSync(scratch, { recursive: true });
});

describe.each(knownVariants)('$name', ({ name, config: tiny }) => {
  test('what is exported has the same logits there', async () => {
    const config = { ...tiny, vocabSize: VOCABULARY, ropeTheta: 5000 };
    const values = uneven(initialWeights(config, 7));
    const files = filesFor(`from-${name}`);
    writeWeights(files.weights, { config, weights: values });
    const folder = folderFor(`to-${name}`);
    await exportHuggingFace(files, folder, 'F32');
    const { architecture } = await theirs.ask(loadedSchema, 'load', { folder });
    expect(architecture).toBe(config.qkNorm ? 'Qwen3ForCausalLM' : 'LlamaForCausalLM');
    const { logits } = await theirs.ask(logitsSchema, 'logits', { ids: PROMPT });
    requireSame(logits, logitsOf(config, values));
  });
});

/** What transformers is asked to make; of each family tied and not, in each type, whole and in parts. */
const size = {
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 24,
  max_position_embeddings: 64,
  initializer_range: 0.3,
  rope_theta: 7000,
  rms_norm_eps: 1e-5,
};
const made = [
  { model_type: 'llama', tie_word_embeddings: false, num_key_value_heads: 2, dtype: 'float32', shard: '5GB' },
  { model_type: 'llama', tie_word_embeddings: true, num_key_value_heads: 4, dtype: 'bfloat16', shard: '4KB' },
  {
    model_type: 'qwen3',
    tie_word_embeddings: true,
    num_key_value_heads: 1,
    head_dim: 8,
    dtype: 'float16',
    shard: '5GB',
  },
  {
    model_type: 'qwen3',
    tie_word_embeddings: false,
    num_key_value_heads: 2,
    head_dim: 8,
    dtype: 'float32',
    shard: '4KB',
  },
] as const;

describe.each(made)('$model_type in $dtype, tied: $tie_word_embeddings', ({ dtype, shard, ...config }) => {
  test('what is imported has the same logits here, and learns the same in twenty steps', async () => {
    const folder = folderFor(`made-${config.model_type}-${dtype}`);
    // More rows than there are tokens, as models have that were made for speed.
    const asked = { ...size, ...config, vocab_size: VOCABULARY + 7 };
    const { files } = await theirs.ask(filesSchema, 'make', { config: asked, folder, dtype, shard });
    expect(files.filter((file) => file.endsWith('.safetensors')).length > 1).toBe(shard === '4KB');
    writeTokenizerFile(join(folder, 'tokenizer.json'), byteTokenizerFile());
    await theirs.ask(loadedSchema, 'load', { folder });

    const model = openHuggingFace(folder);
    expect(model).toMatchObject({ rowsLeftOut: 7, endOfText: '<|endoftext|>' });
    const values = new Map([...parameterShapes(model.config).keys()].map((name) => [name, model.take(name)]));
    const { logits } = await theirs.ask(logitsSchema, 'logits', { ids: PROMPT });
    requireSame(
      logits.map((row) => row.slice(0, VOCABULARY)),
      logitsOf(model.config, values),
    );

    // Exported again, the rows that no token has are gone, and the rest is learnt as there.
    const { weights, tokenizer } = filesFor(`learning-${config.model_type}-${dtype}`);
    await streamWeights(weights, model.config, (name) => model.take(name));
    model.close();
    const again = folderFor(`again-${config.model_type}-${dtype}`);
    await exportHuggingFace({ weights, tokenizer }, again, 'F32');
    await theirs.ask(loadedSchema, 'load', { folder: again });
    const { optimizer } = tinySettings;
    const trainer = createTrainer({ ...tinySettings, model: model.config });
    trainer.restore({ state: UNTOUCHED, files: { 'weights.safetensors': weights } });
    const batches = Array.from({ length: STEPS }, (_, at) => randomBatch(at, { vocabSize: VOCABULARY }));
    const ours = batches.map((batch) => trainer.step(batch));
    trainer.dispose();
    const { losses } = await theirs.ask(lossesSchema, 'train', {
      optimizer,
      batches: batches.map(({ ids, targets, context }, at) => ({
        ids: rowsOf(ids, context),
        targets: rowsOf(targets, context),
        lr: ours[at]?.lr,
      })),
    });
    expect(losses).toHaveLength(STEPS);
    losses.forEach((loss, at) => expect(Math.abs(loss - (ours[at]?.loss ?? Number.NaN))).toBeLessThan(1e-3));
  });
});

function folderFor(name: string): string {
  const folder = join(scratch, name.replaceAll(/\W+/g, '-'));
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Where a model of ours is to be written, with the tokenizer there already. */
function filesFor(name: string): { readonly weights: string; readonly tokenizer: string } {
  const folder = folderFor(name);
  const files = { weights: join(folder, 'weights.safetensors'), tokenizer: join(folder, 'tokenizer.json') };
  writeTokenizerFile(files.tokenizer, byteTokenizerFile());
  return files;
}

/** Gains other than 1, which would hide that they are mixed up. */
function uneven(values: Map<string, Float32Array>): Map<string, Float32Array> {
  return new Map(
    [...values].map(([name, data]) => [name, name.includes('norm') ? data.map((x, i) => x + 0.1 * Math.sin(i)) : data]),
  );
}

function logitsOf(config: ModelConfig, values: Values): number[][] {
  return tf.tidy(() => {
    const parameters = toParameters(values, parameterShapes(config));
    return rowsOf(forward(parameters, config, tf.tensor2d([PROMPT], undefined, 'int32')).dataSync(), config.vocabSize);
  });
}

function rowsOf(values: ArrayLike<number>, width: number): number[][] {
  const plain = Array.from(values);
  return Array.from({ length: plain.length / width }, (_, row) => plain.slice(row * width, (row + 1) * width));
}

function requireSame(found: readonly (readonly number[])[], wanted: readonly (readonly number[])[]): void {
  expect(found).toHaveLength(wanted.length);
  const differences = found.flatMap((row, at) =>
    row.map((logit, i) => Math.abs(logit - (wanted[at]?.[i] ?? Number.NaN))),
  );
  expect(Math.max(...differences)).toBeLessThan(1e-4);
}
