import { firstValueFrom, lastValueFrom, toArray } from 'rxjs';
import { expect, test } from 'vitest';
import type { StepInput } from '../../model/types.ts';
import { fakeSampler, fakeTrainer } from '../support/fakes.ts';
import { settle } from '../support/settle.ts';

function inputOf(id: number): StepInput {
  return { rows: 1, context: 1, ids: Int32Array.of(id), targets: Int32Array.of(1), lossMask: Float32Array.of(1) };
}

async function lossesOf(ids: readonly number[]): Promise<readonly number[]> {
  const trainer = fakeTrainer();
  await trainer.restore(null);
  const results = await Promise.all(ids.map((id) => trainer.step(inputOf(id))));
  return results.map(({ loss }) => loss);
}

test('the fake trainer tells another order, a repetition and a gap by the losses', async () => {
  const expected = await lossesOf([1, 2, 3, 4]);
  expect(await lossesOf([1, 2, 3, 4])).toEqual(expected);
  for (const other of [
    [2, 1, 3, 4],
    [1, 2, 2, 4],
    [1, 3, 3, 4],
  ]) {
    expect((await lossesOf(other)).at(-1)).not.toBe(expected.at(-1));
  }
});

test('the fake trainer goes on after a snapshot', async () => {
  const expected = await lossesOf([1, 2, 3]);
  const first = fakeTrainer({ delayMs: 1, wait: () => settle() });
  await first.restore(null);
  const [, snapshot] = await Promise.all([first.step(inputOf(1)), first.snapshot(), first.step(inputOf(2))]);
  const second = fakeTrainer();
  await second.restore(snapshot);
  const resumed = await Promise.all([second.step(inputOf(2)), second.step(inputOf(3))]);
  expect(resumed.map(({ loss }) => loss)).toEqual(expected.slice(1));
  expect(resumed.map(({ step }) => step)).toEqual([2, 3]);
});

test('the fake sampler counts on once it has weights, and notes who left', async () => {
  const sampler = fakeSampler();
  const settings = { temperature: 0, topK: 0, topP: 1, seed: 1 };
  const request = { ...settings, prompt: Int32Array.of(4), maxTokens: 3, stopTokens: [7] };
  const answer = lastValueFrom(sampler.sample(request).pipe(toArray()));
  await sampler.load({ id: 'cut-1', step: 9, path: 'good' });
  const weights = { id: 'cut-1', step: 9 };
  expect(await answer).toEqual([
    { tokens: Int32Array.of(5), finish: null, weights },
    { tokens: Int32Array.of(6), finish: null, weights },
    { tokens: new Int32Array(), finish: 'stop', weights },
  ]);
  await firstValueFrom(sampler.sample(request));
  expect(sampler.cancelled).toEqual([request]);
  await expect(sampler.load({ id: 'cut-2', step: 10, path: 'bad' })).rejects.toMatchObject({ code: 'weights-corrupt' });
});
