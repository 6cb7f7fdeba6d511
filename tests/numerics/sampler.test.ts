import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { compiledDecoding } from '../../model/decode-engine.ts';
import { createSampler, writeWeights } from '../../model/index.ts';
import type { ModelConfig, SamplerRequest } from '../../model/index.ts';
import { initialWeights } from '../../model/init.ts';
import { tf } from '../../model/tf.ts';
import { forward } from '../../model/transformer.ts';
import { engines, fileOf, greedily, pathOf, request, steps } from './speaking.ts';
import type { Answer } from './speaking.ts';
import { tinyConfig, tinyWeights, variants } from './tiny-model.ts';

function answerOf(path: string, asked: SamplerRequest): Answer | undefined {
  const sampler = createSampler();
  sampler.load(path);
  sampler.submit('one', asked);
  const answers = steps(sampler);
  sampler.dispose();
  return answers.get('one');
}

describe.each(variants)('$name', ({ name, config }) => {
  test.each(engines)(
    '%s, the cache says what the whole forward pass says, for requests of all lengths',
    (_, engine) => {
      const sampler = createSampler(engine);
      sampler.load(fileOf(name, config));
      const prompts = [[1], [2, 3, 4, 5, 6, 7], [8, 9, 10]];
      prompts.forEach((prompt, at) => sampler.submit(`${at}`, request(prompt, { maxTokens: 4 + 2 * at })));
      const answers = steps(sampler);
      prompts.forEach((prompt, at) => {
        expect(answers.get(`${at}`)).toEqual({ tokens: greedily(config, prompt, 4 + 2 * at), finish: 'length' });
      });
      sampler.dispose();
    },
  );
});

describe('a long answer', () => {
  // Longer than the tail and than a chunk, so that both are folded into the past while others come and go.
  const config: ModelConfig = { ...tinyConfig, maxContext: 400 };
  const path = fileOf('long', config);
  const long = Array.from({ length: 300 }, (_, at) => (at * 5) % 17);

  test.each(engines)('%s, goes on whoever joins and leaves', (_, engine) => {
    const sampler = createSampler(engine);
    sampler.load(path);
    const said = new Map<string, number[]>();
    const go = (count: number): void => {
      for (const [id, { tokens }] of steps(sampler, count)) said.set(id, [...(said.get(id) ?? []), ...tokens]);
    };
    sampler.submit('a', request(long, { maxTokens: 60 }));
    go(10);
    for (const id of ['b', 'c', 'd']) sampler.submit(id, request([1, 2, 3], { maxTokens: 25 }));
    go(9);
    sampler.cancel('c');
    sampler.submit('e', request(long.slice(0, 40), { maxTokens: 40 }));
    go(Infinity);
    expect(said.get('a')).toEqual(greedily(config, long, 60));
    expect(said.get('b')).toEqual(greedily(config, [1, 2, 3], 25));
    expect(said.get('d')).toEqual(said.get('b'));
    expect(said.get('c')).toEqual(said.get('b')?.slice(0, 9));
    expect(said.get('e')).toEqual(greedily(config, long.slice(0, 40), 40));
    sampler.dispose();
  });

  test.each(engines)('%s, leaves no more room behind than the others need', (_, engine) => {
    const sampler = createSampler(engine);
    sampler.load(path);
    sampler.submit('long', request(long, { maxTokens: 3 }));
    sampler.submit('short', request([1, 2], { maxTokens: 40 }));
    sampler.submit('other', request([3], { maxTokens: 5 }));
    const answers = steps(sampler);
    expect(answers.get('long')?.tokens).toEqual(greedily(config, long, 3));
    expect(answers.get('short')?.tokens).toEqual(greedily(config, [1, 2], 40));
    sampler.dispose();
  });

  test('in bfloat16 is near: every token is among the likeliest of the whole forward pass', () => {
    const sampler = createSampler(compiledDecoding('bf16'));
    sampler.load(path);
    sampler.submit('a', request(long.slice(0, 20), { maxTokens: 40 }));
    const tokens = [...long.slice(0, 20), ...(steps(sampler).get('a')?.tokens ?? [])];
    const weights = tinyWeights(config, 7);
    const logits = tf.tidy(() => forward(weights, config, tf.tensor2d([tokens], undefined, 'int32')).arraySync());
    if (!Array.isArray(logits)) throw new TypeError('The forward pass gives rows of logits');
    for (let at = 20; at < 60; at++) {
      const row = z.array(z.number()).parse(logits[at - 1]);
      expect(row[tokens[at] ?? 0]).toBeGreaterThan(Math.max(...row) - 0.02);
    }
    sampler.dispose();
  });
});

describe('requests', () => {
  const path = fileOf('requests');

  test('may join and leave between steps without a trace in the others', () => {
    const sampler = createSampler();
    sampler.load(path);
    sampler.submit('long', request([1, 2], { maxTokens: 10 }));
    sampler.submit('gone', request([3], { maxTokens: 10 }));
    const early = steps(sampler, 3).get('long')?.tokens ?? [];
    sampler.cancel('gone');
    sampler.cancel('never there');
    sampler.submit('late', request([4, 5, 6], { maxTokens: 3 }));
    const answers = steps(sampler);
    expect([...early, ...(answers.get('long')?.tokens ?? [])]).toEqual(greedily(tinyConfig, [1, 2], 10));
    expect(answers.get('late')?.tokens).toEqual(greedily(tinyConfig, [4, 5, 6], 3));
    expect(answers.has('gone')).toBe(false);
    sampler.dispose();
  });

  test('draw the same from the same seed, alone or beside others', () => {
    const warm = { temperature: 1.5, topK: 8, topP: 0.95, maxTokens: 12 };
    const alone = [5, 5, 6].map((seed) => answerOf(path, request([1, 2], { ...warm, seed }))?.tokens);
    expect(alone[1]).toEqual(alone[0]);
    expect(alone[2]).not.toEqual(alone[0]);
    const sampler = createSampler();
    sampler.load(path);
    sampler.submit('other', request([9], { ...warm, seed: 1 }));
    sampler.submit('one', request([1, 2], { ...warm, seed: 5 }));
    expect(steps(sampler).get('one')?.tokens).toEqual(alone[0]);
    sampler.dispose();
  });

  test('say how likely each token was, and leave out what has been said when told so', () => {
    const sampler = createSampler();
    sampler.load(path);
    sampler.submit('one', request([1, 2], { topLogProbabilities: 3, presencePenalty: 100, maxTokens: 8 }));
    const deltas = Array.from({ length: 8 }, () => sampler.step()).flat();
    const tokens = deltas.flatMap((delta) => [...delta.tokens]);
    expect(new Set(tokens).size).toBe(8);
    const weights = tinyWeights(tinyConfig, 7);
    deltas.forEach(({ logProbabilities: [chosen] = [] }, at) => {
      const text = tf.tensor2d([[1, 2, ...tokens.slice(0, at)]], undefined, 'int32');
      const probabilities = tf.tidy(() => tf.softmax(forward(weights, tinyConfig, text)).dataSync());
      const last = Array.from(probabilities.slice(-tinyConfig.vocabSize));
      const best = last.toSorted((a, b) => b - a).slice(0, 3);
      expect(Math.exp(chosen?.logProbability ?? 0)).toBeCloseTo(last[tokens[at] ?? 0] ?? 0, 5);
      expect(chosen?.top.map(({ logProbability }) => Math.exp(logProbability))).toEqual(
        best.map((p) => expect.closeTo(p, 5)),
      );
    });
    sampler.dispose();
  });

  test.each(engines)('%s, score their own prompt', (_, engine) => {
    const sampler = createSampler(engine);
    sampler.load(path);
    const prompt = [3, 1, 4, 1, 5];
    sampler.submit('one', request(prompt, { topPromptLogProbabilities: 2, maxTokens: 2 }));
    const [first, second] = [sampler.step()[0], sampler.step()[0]];
    const text = tf.tensor2d([prompt], undefined, 'int32');
    const logits = tf.tidy(() => tf.logSoftmax(forward(tinyWeights(tinyConfig, 7), tinyConfig, text)).dataSync());
    const expected = prompt.slice(1).map((token, at) => logits[at * tinyConfig.vocabSize + token] ?? 0);
    expect(first?.promptLogProbabilities?.map(({ token }) => token)).toEqual(prompt.slice(1));
    const scored = first?.promptLogProbabilities?.map(({ logProbability }) => logProbability);
    expect(scored).toEqual(expected.map((each) => expect.closeTo(each, 4)));
    expect(first?.promptLogProbabilities?.[0]?.top).toHaveLength(2);
    expect(second).not.toHaveProperty('promptLogProbabilities');
    sampler.dispose();
  });

  test('end at a stop token, which is not part of the answer', () => {
    const [first = 0, second = 0] = greedily(tinyConfig, [1, 2], 2);
    const expected = first === second ? [] : [first];
    expect(answerOf(path, request([1, 2], { stopTokens: [second] }))).toEqual({ tokens: expected, finish: 'stop' });
  });

  test('end when the context is full; a long prompt keeps its newest tokens', () => {
    expect(answerOf(path, request([1, 2, 3], { maxTokens: 99 }))?.tokens).toHaveLength(tinyConfig.maxContext - 3);
    const long = Array.from({ length: 40 }, (_, at) => at % 17);
    expect(answerOf(path, request(long, { maxTokens: 3 }))?.tokens).toEqual(greedily(tinyConfig, long.slice(-13), 3));
    expect(answerOf(path, request(long, { maxTokens: 99 }))?.tokens).toHaveLength(tinyConfig.maxContext / 2);
  });

  test.each([
    ['no prompt', request([])],
    ['a token beyond the vocabulary', request([17])],
    ['no tokens', request([1], { maxTokens: 0 })],
    ['a negative temperature', request([1], { temperature: -1 })],
    ['half a k', request([1], { topK: 0.5 })],
    ['no share', request([1], { topP: 0 })],
    ['a share above one', request([1], { minP: 1.5 })],
    ['a repetition penalty of 0', request([1], { repetitionPenalty: 0 })],
    ['a penalty that is no number', request([1], { presencePenalty: NaN })],
    ['a bias for a token beyond the vocabulary', request([1], { logitBias: { 17: 1 } })],
    ['half a probability', request([1], { topLogProbabilities: 0.5 })],
  ])('with %s are refused', (_, asked) => {
    const sampler = createSampler();
    sampler.load(path);
    expect(() => sampler.submit('x', asked)).toThrow(expect.objectContaining({ code: 'input-invalid' }));
    expect(sampler.busy).toBe(false);
    sampler.dispose();
  });

  test('need an id of their own, and weights', () => {
    const sampler = createSampler();
    expect(() => sampler.submit('x', request([1]))).toThrow(expect.objectContaining({ code: 'state-invalid' }));
    sampler.load(path);
    sampler.submit('x', request([1]));
    expect(() => sampler.submit('x', request([1]))).toThrow(expect.objectContaining({ code: 'input-invalid' }));
    sampler.dispose();
  });
});

describe('new weights', () => {
  test('speak from the next token on, with all that was said before', () => {
    const sampler = createSampler();
    sampler.load(fileOf('old'));
    sampler.submit('one', request([1, 2]));
    const before = steps(sampler, 3).get('one')?.tokens ?? [];
    expect(before).toEqual(greedily(tinyConfig, [1, 2], 3));
    sampler.load(fileOf('new', tinyConfig, 8));
    expect(steps(sampler).get('one')?.tokens).toEqual(greedily(tinyConfig, [1, 2, ...before], 3, 8));
    sampler.dispose();
  });

  test.each([
    ['damaged', 'weights-corrupt', (path: string) => writeFileSync(path, 'not weights')],
    [
      'not finite',
      'weights-corrupt',
      (path: string) => {
        const weights = initialWeights(tinyConfig, 7);
        weights.get('lm_head.weight')?.fill(NaN, 3, 4);
        writeWeights(path, { config: tinyConfig, weights });
      },
    ],
    [
      'of another model',
      'weights-mismatch',
      (path: string) => {
        const config = { ...tinyConfig, vocabSize: 18 };
        writeWeights(path, { config, weights: initialWeights(config, 7) });
      },
    ],
  ])('that are %s are refused, and the old ones speak on', (name, code, write) => {
    const sampler = createSampler();
    sampler.load(fileOf('good'));
    sampler.submit('one', request([1, 2]));
    const before = steps(sampler, 2).get('one')?.tokens ?? [];
    const path = pathOf(name);
    write(path);
    expect(() => sampler.load(path)).toThrow(expect.objectContaining({ code }));
    expect([...before, ...(steps(sampler).get('one')?.tokens ?? [])]).toEqual(greedily(tinyConfig, [1, 2], 6));
    sampler.dispose();
  });
});

test.each(engines)('%s, no tensor stays behind', (_, engine) => {
  const before = tf.memory().numTensors;
  const path = fileOf('leaks');
  answerOf(path, request([1, 2, 3]));
  const sampler = createSampler(engine);
  sampler.load(path);
  sampler.submit('one', request([1], { maxTokens: 10 }));
  steps(sampler, 2);
  sampler.load(path);
  steps(sampler, 2);
  sampler.dispose();
  expect(tf.memory().numTensors).toBe(before);
});
