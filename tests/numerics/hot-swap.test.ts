import { describe, expect, test } from 'vitest';
import { createSampler } from '../../model/index.ts';
import type { SamplerDelta } from '../../model/index.ts';
import { tf } from '../../model/tf.ts';
import { deltasOf, engines, fileOf, greedily, request } from './speaking.ts';
import { tinyConfig } from './tiny-model.ts';

/* New weights between two tokens: who goes on with them, and who ends on the old ones. */

const [OLD, NEW] = [7, 8];

function tokensOf(deltas: readonly SamplerDelta[], id: string): number[] {
  return deltas.filter((delta) => delta.id === id).flatMap(({ tokens }) => [...tokens]);
}

function versionsOf(deltas: readonly SamplerDelta[], id: string): number[] {
  return deltas.filter((delta) => delta.id === id).map(({ version }) => version);
}

describe.each(engines)('new weights, %s', (_, engine) => {
  const old = fileOf('old', tinyConfig, OLD);
  const fresh = fileOf('fresh', tinyConfig, NEW);

  test('an answer that finishes is that of the old weights alone, one that switches is recomputed', () => {
    const sampler = createSampler(engine);
    sampler.load(old);
    sampler.submit('stays', request([1, 2], { maxTokens: 10, onNewWeights: 'finish' }));
    sampler.submit('goes', request([3], { maxTokens: 8, onNewWeights: 'switch' }));
    const before = deltasOf(sampler, 3);
    expect(sampler.load(fresh).version).toBe(2);
    sampler.submit('late', request([4, 5], { maxTokens: 5, onNewWeights: 'finish' }));
    const all = [...before, ...deltasOf(sampler)];

    expect(tokensOf(all, 'stays')).toEqual(greedily(tinyConfig, [1, 2], 10, OLD));
    expect(versionsOf(all, 'stays')).toEqual(Array<number>(10).fill(1));
    const said = greedily(tinyConfig, [3], 3, OLD);
    expect(tokensOf(all, 'goes')).toEqual([...said, ...greedily(tinyConfig, [3, ...said], 5, NEW)]);
    expect(versionsOf(all, 'goes')).toEqual([1, 1, 1, 2, 2, 2, 2, 2]);
    expect(tokensOf(all, 'late')).toEqual(greedily(tinyConfig, [4, 5], 5, NEW));
    sampler.dispose();
  });

  test('two sets are held until the last answer has ended on the old ones, and never three', () => {
    const before = tf.memory().numTensors;
    const sampler = createSampler(engine, { remembered: 0 });
    sampler.load(old);
    const oneSet = tf.memory().numTensors;
    sampler.submit('stays', request([1, 2], { maxTokens: 6, onNewWeights: 'finish' }));
    sampler.submit('gone', request([3, 4], { maxTokens: 9, onNewWeights: 'finish' }));
    deltasOf(sampler, 2);
    expect(sampler.mayLoad).toBe(true);
    sampler.load(fresh);
    expect(sampler.mayLoad).toBe(false);
    expect(() => sampler.load(old)).toThrow(expect.objectContaining({ code: 'state-invalid' }));
    deltasOf(sampler, 4);
    expect([sampler.mayLoad, sampler.busy]).toEqual([false, true]);
    sampler.cancel('gone');
    expect([sampler.mayLoad, sampler.busy]).toEqual([true, false]);
    expect(tf.memory().numTensors).toBe(oneSet);
    sampler.load(old);
    sampler.submit('again', request([1, 2], { maxTokens: 4 }));
    expect(tokensOf(deltasOf(sampler), 'again')).toEqual(greedily(tinyConfig, [1, 2], 4, OLD));
    sampler.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('of the old weights nothing is remembered for other prompts', () => {
    const before = tf.memory().numTensors;
    const sampler = createSampler(engine);
    sampler.load(old);
    const ofWeights = tf.memory().numTensors - before;
    sampler.submit('stays', request([1, 2], { onNewWeights: 'finish' }));
    sampler.step();
    const speaking = tf.memory().numTensors;
    sampler.load(fresh);
    expect(tf.memory().numTensors - speaking).toBe(ofWeights - 2 * tinyConfig.layers);
    sampler.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('where nobody stays, one set is held', () => {
    const sampler = createSampler(engine, { remembered: 0 });
    sampler.load(old);
    const oneSet = tf.memory().numTensors;
    sampler.submit('waits', request([1], { onNewWeights: 'finish' }));
    sampler.load(fresh);
    expect([sampler.mayLoad, tf.memory().numTensors]).toEqual([true, oneSet]);
    expect(tokensOf(deltasOf(sampler), 'waits')).toEqual(greedily(tinyConfig, [1], 6, NEW));
    sampler.dispose();
  });
});
