import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  byteTokenizerFile,
  createTokenizer,
  createTrainer,
  readSafetensors,
  respellingOf,
  trainTokenizer,
} from '../../model/index.ts';
import type { ModelTrainer, OldTokens, StepInput, StoredSnapshot, Tokenizer } from '../../model/index.ts';
import { tinyConfig, tinySettings } from './tiny-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-respell-'));
afterAll(() => rmSync(folder, { recursive: true }));

const TEXT = 'the mill grinds the wheat of the miller, and the river turns the mill. '.repeat(40);
const bytes = byteTokenizerFile();
const words = trainTokenizer([TEXT], 290);

/** So many bytes of the text, in rows of 16 tokens. */
async function batchOf(tokenizer: Tokenizer): Promise<StepInput> {
  const tokens = await tokenizer.encode(TEXT);
  const size = 4 * 16;
  const lossMask = new Float32Array(size).fill(1);
  return { rows: 4, context: 16, ids: tokens.slice(0, size), targets: tokens.slice(1, size + 1), lossMask };
}

async function stored(trainer: ModelTrainer, name: string): Promise<StoredSnapshot> {
  const directory = join(folder, name);
  mkdirSync(directory);
  const { state, files } = await trainer.snapshot(directory);
  return { state, files: Object.fromEntries(files.map((file) => [file.name, file.path])) };
}

function matrix(snapshot: StoredSnapshot, file: string, name: string): Float32Array {
  const tensor = readSafetensors(snapshot.files[file] ?? '').tensors.get(name);
  if (tensor?.dtype !== 'F32') throw new Error(`no ${name}`);
  return tensor.data;
}

/** A shared token's row as it was; of a new one, the mean of its parts, or nothing yet in the optimizer. */
function expectedRow(was: Float32Array, width: number, part: OldTokens, file: string): Float32Array {
  if (typeof part === 'number') return was.subarray(part * width, (part + 1) * width);
  const row = new Float32Array(width);
  if (file === 'optimizer.safetensors') return row;
  for (const old of part)
    for (let at = 0; at < width; at++) row[at] = (row[at] ?? 0) + (was[old * width + at] ?? 0) / part.length;
  return row;
}

test.each([true, false])(
  'rows of shared tokens stay to the bit, moments too; it goes on learning (tied: %s)',
  async (tieEmbeddings) => {
    const [from, to] = [createTokenizer(bytes), createTokenizer(words)];
    const settings = { ...tinySettings, ema: 0.9, model: { ...tinyConfig, tieEmbeddings, vocabSize: from.vocabSize } };
    const old = createTrainer(settings);
    old.restore(null);
    for (let step = 0; step < 30; step++) old.step(await batchOf(from));
    const before = await stored(old, `before-${tieEmbeddings}`);
    const { rows } = respellingOf(bytes, words);
    const next = createTrainer({ ...settings, model: { ...settings.model, vocabSize: to.vocabSize } });
    next.restore({ ...before, vocabulary: rows });
    const after = await stored(next, `after-${tieEmbeddings}`);
    const width = tinyConfig.hiddenSize;
    const embedding = 'model.embed_tokens.weight';
    for (const [file, name] of [
      ['weights.safetensors', embedding],
      ['ema.safetensors', embedding],
      ['optimizer.safetensors', `${embedding}.exp_avg`],
      ['optimizer.safetensors', `${embedding}.exp_avg_sq`],
      ...(tieEmbeddings ? [] : ([['weights.safetensors', 'lm_head.weight']] as const)),
    ] as const) {
      const [was, is] = [matrix(before, file, name), matrix(after, file, name)];
      for (const [row, part] of rows.entries()) {
        expect(is.subarray(row * width, (row + 1) * width)).toEqual(expectedRow(was, width, part, file));
      }
    }
    const exam = await batchOf(to);
    const atTheCut = next.evaluate(exam);
    // Better than a guess: what a new token means is known from the tokens that spelled it.
    expect(atTheCut).toBeLessThan(Math.log(to.vocabSize));
    const steps: number[] = [];
    for (let step = 0; step < 20; step++) steps.push(next.step(exam).loss);
    expect(steps.every(Number.isFinite)).toBe(true);
    expect(next.evaluate(exam)).toBeLessThan(atTheCut);
    expect(() => next.restore({ ...before, vocabulary: [999] })).toThrow(
      expect.objectContaining({ code: 'weights-mismatch' }),
    );
    old.dispose();
    next.dispose();
  },
);
