import { Subject, from, lastValueFrom, throwError, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Element } from '../../../operators/flow.ts';
import { tokenizePrompt } from '../../../operators/tokenize-prompt.ts';
import type { Cancellation, Prompt } from '../../../operators/types.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';
import { TestSource, promptAt, valuesOf } from '../../support/elements.ts';
import { settle } from '../../support/settle.ts';

const source = new TestSource();
const settings = {
  id: 'p',
  at: promptAt('p'),
  key: 'p',
  maxTokens: 3,
  temperature: 1,
  topK: 0,
  topP: 1,
  seed: 9,
  stop: [],
  deadlineAtMs: null,
  onNewWeights: null,
};

function prompt(text: string): Prompt {
  return { ...settings, text };
}

describe('tokenizePrompt', () => {
  it('emits tokens behind an end of text, under the bytes of the prompt', async () => {
    const output = from([source.item(prompt('ab'), 2)]).pipe(tokenizePrompt(byteTokenizer), toArray());
    expect(await lastValueFrom(output)).toEqual([source.item({ ...settings, tokens: Int32Array.of(256, 97, 98) }, 2)]);
  });

  it('takes a prompt of any length', async () => {
    const output = from([source.item(prompt('x'.repeat(1_000_000)))]).pipe(tokenizePrompt(byteTokenizer), toArray());
    expect(valuesOf(await lastValueFrom(output)).map((value) => 'tokens' in value && value.tokens.length)).toEqual([
      1_000_001,
    ]);
  });

  it('keeps items, cancellations among them, and marks in their order', async () => {
    const flow: Element<Prompt | Cancellation>[] = [
      source.restore(),
      source.item(prompt('a')),
      source.item({ cancels: 'p', at: promptAt('q') }),
      source.tick(1),
      source.barrier(),
      source.item(prompt('b')),
    ];
    const output = await lastValueFrom(from(flow).pipe(tokenizePrompt(byteTokenizer), toArray()));
    expect(output.map(({ kind }) => kind)).toEqual(flow.map(({ kind }) => kind));
    expect(output[2]).toEqual(flow[2]);
  });

  it("ends with the tokenizer's error and with the source's, and lets go when unsubscribed", async () => {
    const failing = { ...byteTokenizer, encode: () => Promise.reject(new Error('of the tokenizer')) };
    const flow = from([source.item(prompt('a'))]);
    await expect(lastValueFrom(flow.pipe(tokenizePrompt(failing)))).rejects.toThrow('of the tokenizer');
    const broken = throwError(() => new Error('of the source'));
    await expect(lastValueFrom(broken.pipe(tokenizePrompt(byteTokenizer)))).rejects.toThrow('of the source');
    const input = new Subject<Element<Prompt>>();
    const subscription = input.pipe(tokenizePrompt(failing)).subscribe();
    input.next(source.item(prompt('a')));
    subscription.unsubscribe();
    await settle();
    expect(input.observed).toBe(false);
  });
});
