import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { compiledDecoding, eagerDecoding } from '../../model/decode-engine.ts';
import type { DecodeEngineFactory } from '../../model/decode-engine.ts';
import { writeWeights } from '../../model/index.ts';
import type { ModelConfig, ModelSampler, SamplerDelta, SamplerRequest } from '../../model/index.ts';
import { initialWeights } from '../../model/init.ts';
import { tf } from '../../model/tf.ts';
import { forward } from '../../model/transformer.ts';
import { tinyConfig, tinyWeights } from './tiny-model.ts';

/* Weights to speak with, requests, and what should come of them. */

const folder = mkdtempSync(join(tmpdir(), 'millrace-sampler-'));
afterAll(() => rmSync(folder, { recursive: true }));

export const engines: readonly (readonly [name: string, engine: DecodeEngineFactory])[] = [
  ['op by op', eagerDecoding],
  ['compiled', compiledDecoding('f32')],
];

/** A file of that name in a folder of the test's own. */
export function pathOf(name: string): string {
  return join(folder, `${name}.safetensors`);
}

export function fileOf(name: string, config: ModelConfig = tinyConfig, seed: number = 7): string {
  writeWeights(pathOf(name), { config, weights: initialWeights(config, seed) });
  return pathOf(name);
}

/** A greedy one. */
export function request(prompt: readonly number[], change: Partial<SamplerRequest> = {}): SamplerRequest {
  const greedy = { temperature: 0, topK: 0, topP: 1, seed: 1, stopTokens: [] };
  return { ...greedy, prompt: Int32Array.from(prompt), maxTokens: 6, ...change };
}

export interface Answer {
  readonly tokens: readonly number[];
  readonly finish: string | null;
}

export function deltasOf(sampler: ModelSampler, count: number = Infinity): SamplerDelta[] {
  const deltas: SamplerDelta[] = [];
  for (let step = 0; step < count && sampler.busy; step++) deltas.push(...sampler.step());
  return deltas;
}

export function steps(sampler: ModelSampler, count: number = Infinity): Map<string, Answer> {
  const answers = new Map<string, Answer>();
  for (const { id, tokens, finish } of deltasOf(sampler, count)) {
    answers.set(id, { tokens: [...(answers.get(id)?.tokens ?? []), ...tokens], finish });
  }
  return answers;
}

/** The slow way: the whole text through the whole model for each token. */
export function greedily(config: ModelConfig, prompt: readonly number[], count: number, seed: number = 7): number[] {
  const weights = tinyWeights(config, seed);
  const tokens = [...prompt];
  for (let i = 0; i < count; i++) {
    const logits = tf.tidy(() => forward(weights, config, tf.tensor2d([tokens], undefined, 'int32')).dataSync());
    const last = Array.from(logits.subarray(-config.vocabSize));
    tokens.push(last.indexOf(Math.max(...last)));
  }
  tf.dispose(weights);
  return tokens.slice(prompt.length);
}
