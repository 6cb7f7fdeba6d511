import { describe, expect, it } from 'vitest';
import { AnswerLoop } from '../../infra/processes/answer-loop.ts';
import type { SamplerEvent } from '../../infra/processes/sampler-protocol.ts';
import { presets } from '../../model/presets.ts';
import type { ModelSampler, SamplerDelta } from '../../model/sampler.ts';
import { settle } from '../support/settle.ts';

/** A sampler that may be told that two sets of weights are held. */
class StubSampler implements ModelSampler {
  readonly loaded: string[] = [];
  mayLoad = true;
  busy = false;
  next: readonly SamplerDelta[] = [];

  load(path: string): ReturnType<ModelSampler['load']> {
    if (path === 'bad') throw new Error('not weights');
    this.loaded.push(path);
    return { config: presets.nano.model, version: this.loaded.length };
  }

  submit(): void {
    this.busy = true;
  }

  cancel(): void {
    this.mayLoad = true;
  }

  step(): readonly SamplerDelta[] {
    this.busy = false;
    return this.next;
  }

  dispose(): void {}
}

const request = { prompt: Int32Array.of(1), maxTokens: 1, temperature: 0, topK: 0, topP: 1, seed: 1, stopTokens: [] };

function weights(id: string): { readonly id: string; readonly step: number; readonly path: string } {
  return { id, step: Number(id), path: id };
}

function said(id: string, version: number): SamplerDelta {
  return { id, version, tokens: Int32Array.of(1), finish: 'length' };
}

describe('weights of a sampler process', () => {
  it('wait while two sets are held, the newest only, and are taken when one of them goes', async () => {
    const sampler = new StubSampler();
    const loop = new AnswerLoop(sampler, () => undefined);
    const done: string[] = [];
    const load = (id: string): void =>
      void loop.load(weights(id)).then(
        () => done.push(id),
        () => done.push(`${id} refused`),
      );
    load('1');
    sampler.mayLoad = false;
    load('2');
    load('3');
    await settle();
    expect([sampler.loaded, done]).toEqual([['1'], ['1', '2']]);
    loop.cancel('the answer that ended on the first');
    await settle();
    expect([sampler.loaded, done]).toEqual([
      ['1', '3'],
      ['1', '2', '3'],
    ]);
    load('bad');
    await settle();
    expect(done.at(-1)).toBe('bad refused');
  });

  it('are named with what they have spoken, and nothing else', async () => {
    const sampler = new StubSampler();
    const events: SamplerEvent[] = [];
    const loop = new AnswerLoop(sampler, (event) => events.push(event));
    await loop.load({ ...weights('1'), seen: { 'text/0': 5 } });
    await loop.load(weights('2'));
    sampler.next = [said('a', 2), said('b', 1), said('c', 2)];
    await Promise.all(['a', 'b', 'c'].map((id) => loop.answer({ id, request })));
    expect(events.map(({ weights: by, deltas }) => [by, deltas.map(({ id }) => id)])).toEqual([
      [{ id: '1', step: 1, seen: { 'text/0': 5 } }, ['b']],
      [{ id: '2', step: 2 }, ['a', 'c']],
    ]);
  });
});
