import { describe, expect, test } from 'vitest';
import { createSampler } from '../../model/index.ts';
import type { ModelConfig, SamplerDelta } from '../../model/index.ts';
import { tf } from '../../model/tf.ts';
import { deltasOf, engines, fileOf, greedily, request } from './speaking.ts';
import { tinyConfig } from './tiny-model.ts';

/* Prompts that begin alike, or are the same, are read once; nobody can tell by the answers. */

const config: ModelConfig = { ...tinyConfig, maxContext: 700 };
const shared = Array.from({ length: 600 }, (_, at) => (at * 5 + (at >> 3)) % 17);

function promptOf(common: number, ...own: readonly number[]): readonly number[] {
  return [...shared.slice(0, common), ...own];
}

interface Prompts {
  /** Some begin alike, some are the same, some are parts of others. */
  readonly prompts: readonly (readonly number[])[];
  /** Tokens of each that had been read before. */
  readonly reused: readonly number[];
}

const long: Prompts = {
  prompts: [
    promptOf(300, 1, 2, 3),
    promptOf(300, 4),
    promptOf(300, 4),
    promptOf(70, 9, 9),
    promptOf(150),
    promptOf(520, 5),
    promptOf(520, 6, 7),
    promptOf(32),
    promptOf(32),
  ],
  reused: [0, 256, 301, 64, 128, 256, 512, 0, 32],
};
/** Fewer shapes, so fewer graphs to compile. */
const short: Prompts = {
  prompts: [promptOf(70, 1, 2), promptOf(70, 4), promptOf(70, 4), promptOf(64)],
  reused: [0, 64, 71, 64],
};

function withoutCounts(deltas: readonly SamplerDelta[]): readonly object[] {
  return deltas.map(({ read: _read, ...rest }) => rest);
}

function reusedIn(deltas: readonly SamplerDelta[]): readonly number[] {
  return deltas.flatMap(({ read }) => (read ? [read.reused] : []));
}

describe.each(engines)('a prompt that begins as another did, %s', (name, engine) => {
  const path = fileOf('reuse', config);
  const { prompts, reused } = name === 'compiled' ? short : long;

  /** Each step brings one prompt more, while those before go on. */
  function answers(remembered: number): SamplerDelta[] {
    const sampler = createSampler(engine, { remembered });
    sampler.load(path);
    const deltas = prompts.flatMap((prompt, at) => {
      sampler.submit(`${at}`, request(prompt, { maxTokens: 20, topLogProbabilities: 3 }));
      return [...sampler.step()];
    });
    deltas.push(...deltasOf(sampler));
    sampler.dispose();
    return deltas;
  }

  test('is answered to the bit as if it had been read alone', () => {
    const remembering = answers(4 * config.maxContext);
    const forgetting = answers(0);
    expect(withoutCounts(remembering)).toEqual(withoutCounts(forgetting));
    expect(reusedIn(forgetting)).toEqual(prompts.map(() => 0));
    expect(reusedIn(remembering)).toEqual(reused);
    const tokens = remembering.filter(({ id }) => id === '1').flatMap((delta) => [...delta.tokens]);
    expect(tokens).toEqual(greedily(config, prompts[1] ?? [], 20));
  });

  test('is read once for many answers, drawn with seeds of their own', () => {
    const sampler = createSampler(engine);
    sampler.load(path);
    for (const seed of [1, 2, 3, 4]) {
      sampler.submit(`${seed}`, request(promptOf(100), { temperature: 2, seed, maxTokens: 12 }));
    }
    const deltas = deltasOf(sampler);
    const reads = deltas.flatMap(({ read }) => (read ? [read] : []));
    expect(reads).toEqual([0, 100, 100, 100].map((reused) => ({ tokens: 100, reused })));
    const said = [1, 2, 3, 4].map((seed) => deltas.filter(({ id }) => id === `${seed}`).map(({ tokens }) => tokens[0]));
    expect(new Set(said.map(String)).size).toBe(4);
    sampler.dispose();
  });

  test('is read anew by new weights, and when its tokens are to be scored', () => {
    const sampler = createSampler(engine);
    const ask = (id: string, scored: boolean): (number | undefined)[] => {
      sampler.submit(id, request(promptOf(64), { maxTokens: 1, ...(scored ? { topPromptLogProbabilities: 1 } : {}) }));
      return sampler.step().map(({ read }) => read?.reused);
    };
    sampler.load(path);
    expect([ask('a', false), ask('b', false), ask('c', true)]).toEqual([[0], [64], [0]]);
    sampler.load(path);
    expect([ask('d', false), ask('e', false)]).toEqual([[0], [64]]);
    sampler.dispose();
  });

  test('costs no more memory than it may', () => {
    const sampler = createSampler(engine, { remembered: 128 });
    sampler.load(path);
    const tensors: number[] = [];
    for (let at = 0; at < 12; at++) {
      sampler.submit(`${at}`, request(shared.slice(at, at + 64), { maxTokens: 1 }));
      sampler.step();
      tensors.push(tf.memory().numTensors);
    }
    // Two prompts, of two tensors for each layer.
    expect(new Set(tensors.slice(1)).size).toBe(1);
    expect((tensors.at(-1) ?? 0) - (tensors[0] ?? 0)).toBe(2 * config.layers);
    sampler.dispose();
  });
});
