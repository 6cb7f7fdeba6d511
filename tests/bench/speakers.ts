import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lastValueFrom, merge, tap, toArray } from 'rxjs';
import { z } from 'zod';
import { startSampler } from '../../infra/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import { toHuggingFaceConfig } from '../../model/interchange/hugging-face-config.ts';
import type { Values } from '../../model/step-runner.ts';
import { writeWeights } from '../../model/weights/weights-file.ts';
import type { Precision } from './matmul-peak.ts';
import { startPython } from '../support/python-process.ts';
import { torchPython, transformersPath } from '../support/torch-venv.ts';
import { progress } from './report.ts';

/** One way to answer prompts, in a process of its own. */
export interface Speaker {
  readonly name: string;
  /** Answers all prompts at once, always with the likeliest token. */
  speak(prompts: readonly Int32Array[], tokens: number): Promise<Spoken>;
  close(): Promise<void>;
}

export interface Spoken {
  /** Until every prompt had its first token. */
  readonly prefillMs: number;
  /** Until every prompt had its last. */
  readonly totalMs: number;
  readonly tokens: readonly (readonly number[])[];
}

/** A file of Millrace's weights; and a folder that transformers reads, in which it lies. */
export interface SpokenModel {
  readonly folder: string;
  readonly weights: string;
}

export function writeModel(scratch: string, config: ModelConfig, values: Values): SpokenModel {
  const folder = join(scratch, 'model');
  mkdirSync(folder, { recursive: true });
  const weights = join(folder, 'model.safetensors');
  writeWeights(weights, { config, weights: values });
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify(toHuggingFaceConfig(config, { endOfText: 0, dtype: 'F32' })),
  );
  return { folder, weights };
}

/** The sampler process of a job. */
export async function startMillraceSpeaker(
  name: string,
  { weights }: SpokenModel,
  precision: Precision,
  threads: number,
): Promise<Speaker> {
  const sampler = await startSampler({
    logger: { info: progress, warn: progress },
    engine: { mode: 'compiled', precision, xla: false },
    env: { TF_NUM_INTRAOP_THREADS: String(threads) },
  });
  await sampler.load({ id: 'bench', step: 0, path: weights });
  const settings = { temperature: 0, topK: 0, topP: 1, seed: 1, stopTokens: [] };
  return {
    name,
    async speak(prompts, tokens) {
      const start = performance.now();
      const answers = prompts.map((): number[] => []);
      let [waiting, prefillMs] = [prompts.length, Number.NaN];
      const streams = prompts.map((prompt, at) =>
        sampler.sample({ ...settings, prompt, maxTokens: tokens }).pipe(
          tap((delta) => {
            if (answers[at]?.length === 0 && --waiting === 0) prefillMs = performance.now() - start;
            answers[at]?.push(...delta.tokens);
          }),
        ),
      );
      await lastValueFrom(merge(...streams).pipe(toArray()));
      return { prefillMs, totalMs: performance.now() - start, tokens: answers };
    },
    close: () => sampler.close(),
  };
}

const script = fileURLToPath(new URL('./transformers_generate.py', import.meta.url));
const spokenSchema = z.strictObject({
  prefillMs: z.number(),
  totalMs: z.number(),
  tokens: z.array(z.array(z.number())),
});

const logitsSchema = z.strictObject({ logits: z.array(z.array(z.number())) });

export interface TransformersSpeaker extends Speaker {
  /** Of the token behind each of these. */
  logits(tokens: Int32Array): Promise<readonly (readonly number[])[]>;
}

/** `generate` of Hugging Face transformers, in float32. */
export async function startTransformers(
  name: string,
  { folder }: SpokenModel,
  cache: 'dynamic' | 'static',
): Promise<TransformersSpeaker> {
  const python = await torchPython(progress);
  const child = startPython(python, [script, folder], { PYTHONPATH: await transformersPath(progress) });
  z.strictObject({ ready: z.literal(true) }).parse(await child.answer());
  return {
    name,
    async speak(prompts, tokens) {
      child.send(`${JSON.stringify({ prompts: prompts.map((prompt) => Array.from(prompt)), tokens, cache })}\n`);
      return spokenSchema.parse(await child.answer());
    },
    async logits(tokens) {
      child.send(`${JSON.stringify({ logits: Array.from(tokens) })}\n`);
      return logitsSchema.parse(await child.answer()).logits;
    },
    close: () => child.close(),
  };
}
