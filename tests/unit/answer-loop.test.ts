import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AnswerLoop } from '../../infra/processes/answer-loop.ts';
import type { ModelSampler, SamplerDelta, SamplerRequest } from '../../model/sampler.ts';
import { presets } from '../../model/presets.ts';

const STEP_MS = 8;
const request: SamplerRequest = {
  prompt: Int32Array.of(1),
  maxTokens: 3,
  seed: 1,
  temperature: 0,
  topK: 0,
  topP: 1,
  stopTokens: [],
};

const timer = setTimeout(() => undefined, 0);
let nowMs = 0;
let restsMs: number[] = [];

beforeEach(() => {
  [nowMs, restsMs] = [0, []];
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  vi.spyOn(globalThis, 'setTimeout').mockImplementation((callback, restMs) => {
    restsMs.push(restMs ?? 0);
    setImmediate(callback);
    return timer;
  });
});
afterEach(() => vi.restoreAllMocks());

/** Says a token a step to whoever asks, each step in the same time. */
function slowSampler(stepMs: number): ModelSampler {
  const left = new Map<string, number>();
  return {
    load: () => ({ config: presets.nano.model, version: 1 }),
    mayLoad: true,
    submit: (id, { maxTokens }) => void left.set(id, maxTokens),
    cancel: (id) => void left.delete(id),
    get busy() {
      return left.size > 0;
    },
    step: () => {
      nowMs += stepMs;
      return [...left].map(([id, tokens]): SamplerDelta => {
        if (tokens > 1) left.set(id, tokens - 1);
        else left.delete(id);
        return { id, version: 1, tokens: Int32Array.of(7), finish: tokens > 1 ? null : 'length' };
      });
    },
    dispose: () => undefined,
  };
}

async function restsOf(stepMs: number, share?: number): Promise<readonly number[]> {
  const loop = new AnswerLoop(slowSampler(stepMs), () => undefined, share);
  await loop.load({ id: 'c1', step: 1, path: 'weights' });
  await Promise.all([loop.answer({ id: 'a', request }), loop.answer({ id: 'b', request })]);
  return restsMs;
}

test('without a share the model steps as long as there is something to answer', async () => {
  expect(await restsOf(STEP_MS)).toEqual([]);
});

test('with a share it rests behind each step', async () => {
  expect(await restsOf(STEP_MS, 0.25)).toEqual([24, 24, 24]);
});

test('rests that are too short for a timer are saved up', async () => {
  expect(await restsOf(0.75, 0.5)).toEqual([1.5]);
});
