import { Subject, from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { jsonFormat, plainFormat, textFormat } from '../../../operators/formats.ts';
import { promptContent, prompts, promptsKind } from '../../../operators/prompts.ts';
import type { DeadLetters } from '../../../operators/ports.ts';
import type { Cancellation, LogRecord, Prompt } from '../../../operators/types.ts';
import { TestSource, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';
import { memoryServices } from '../../support/services.ts';
import { MemoryDeadLetters, deadLettersThatFail } from '../../support/memory-stores.ts';

const source = new TestSource();
const at = { topic: 'ask', partition: 2, offset: 5 };
const unsaid = { key: null, stop: [], deadlineAtMs: null, onNewWeights: null };
const defaults = { maxTokens: 64, temperature: 0.8, topK: 0, topP: 0.95, seed: 0, ...unsaid };

function record(value: string | Uint8Array | null, key: string | null = null): LogRecord {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  const keyBytes = key === null ? null : Buffer.from(key);
  return { topic: 'ask', partition: 2, offset: 5, key: keyBytes, value: bytes, headers: {}, timestampMs: 1 };
}

async function valuesFor(records: readonly LogRecord[], deadLetters: DeadLetters): Promise<(Prompt | Cancellation)[]> {
  const flow = from(records.map((each) => source.item(each)));
  return valuesOf(await lastValueFrom(flow.pipe(prompts({ deadLetters }), toArray())));
}

async function promptsOf(records: readonly LogRecord[], deadLetters = deadLettersThatFail): Promise<Prompt[]> {
  return (await valuesFor(records, deadLetters)).filter((value) => 'text' in value);
}

const elements = {
  p: source.item(record('Hello'), 5),
  n: source.item(record(null), 0),
  r: source.restore(),
  t: source.tick(1),
  b: source.barrier(),
};
const expected = {
  ...elements,
  P: source.item({ ...defaults, at, id: 'ask/2/5', text: 'Hello' }, 5),
};

describe('prompts', () => {
  it('takes other defaults while it runs, from the prompt on that comes next', async () => {
    const told = new Map<string, unknown>();
    const services = { ...memoryServices(), told };
    const operator = promptsKind.build('asked', promptsKind.config.parse({ maxTokens: 5 }), services);
    const temperatures: unknown[] = [];
    const input = new Subject<never>();
    const subscription = input.pipe(operator).subscribe((element) => temperatures.push(element));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Kinds' operators take what their graph says.
    const ask = (): void => input.next(source.item(record('Hello')) as never);
    ask();
    told.set('asked', { temperature: 0.1, maxTokens: 7 });
    ask();
    subscription.unsubscribe();
    expect(temperatures).toMatchObject([
      { value: { maxTokens: 5, temperature: 0.8 } },
      { value: { maxTokens: 7, temperature: 0.1 } },
    ]);
  });

  it('emits a prompt per record, under its bytes, none for a tombstone without a key, and lets marks pass', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('   rp-ntb-|', elements);
      const output = flow.pipe(prompts({ deadLetters: deadLettersThatFail }));
      expectObservable(output).toBe('rP--tb-|', expected);
      expectSubscriptions(flow.subscriptions).toBe('^------!');
    });
  });

  it("passes the source's error on, and lets go of the source when unsubscribed", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const failing = cold('p-#', elements);
      expectObservable(failing.pipe(prompts({ deadLetters: deadLettersThatFail }))).toBe('P-#', expected);
      expectSubscriptions(failing.subscriptions).toBe('^-!');
      const flow = cold('p--p', elements);
      expectObservable(flow.pipe(prompts({ deadLetters: deadLettersThatFail })), '^-!').toBe('P--', expected);
      expectSubscriptions(flow.subscriptions).toBe('^-!');
    });
  });

  it('takes settings from the JSON, else from the defaults', async () => {
    const json = ' {"prompt": "Hi", "maxTokens": 3, "temperature": 0, "topK": 4, "topP": 1, "seed": 8}';
    expect(await promptsOf([record(json)])).toEqual([
      { ...unsaid, id: 'ask/2/5', at, text: 'Hi', maxTokens: 3, temperature: 0, topK: 4, topP: 1, seed: 8 },
    ]);
    const flow = from([source.item(record('{"prompt": "Hi", "seed": 1}'))]);
    const own = prompts({ deadLetters: deadLettersThatFail, defaults: { maxTokens: 9, seed: 7 } });
    expect(valuesOf(await lastValueFrom(flow.pipe(own, toArray())))).toEqual([
      { ...defaults, at, id: 'ask/2/5', text: 'Hi', maxTokens: 9, seed: 1 },
    ]);
  });

  it('takes the id from the prompt, else from the key, else from where the record is', async () => {
    const found = await promptsOf([record('{"prompt": "a", "id": "mine"}', 'k'), record('a', 'k'), record('a')]);
    expect(found.map(({ id }) => id)).toEqual(['mine', 'k', 'ask/2/5']);
  });

  it('makes a cancellation of a tombstone with a key, of whatever bytes', async () => {
    const key = Buffer.of(0xff, 0x61);
    const records = [
      { ...record('Hi'), key },
      { ...record(null), key },
    ];
    const [prompt, cancellation] = await valuesFor(records, deadLettersThatFail);
    expect(prompt).toMatchObject({ text: 'Hi', key: '\u00ffa' });
    expect(cancellation).toEqual({ cancels: '\u00ffa', at });
  });

  it.each([
    ['{"prompt": "Hi", "deadlineMs": 250}', 251],
    ['{"prompt": "Hi", "deadline": "1970-01-01T00:00:01+00:00"}', 1000],
    ['{"prompt": "Hi", "deadline": "1970-01-01T00:00:01Z", "deadlineMs": 10}', 11],
    ['{"prompt": "Hi"}', null],
  ])('takes a deadline that counts from the record, or is a point in time: %s', async (json, deadlineAtMs) => {
    expect(await promptsOf([record(json)])).toMatchObject([{ deadlineAtMs }]);
  });

  it.each([
    ['{"prompt": "Hi", "stop": "END"}', ['END']],
    ['{"prompt": "Hi", "stop": ["a", "b"]}', ['a', 'b']],
    ['{"prompt": "Hi"}', []],
  ])('takes one stop string or several: %s', async (json, stop) => {
    expect(await promptsOf([record(json)])).toMatchObject([{ stop }]);
  });

  it('takes what is to become of the answer when new weights come', async () => {
    expect(await promptsOf([record('{"prompt": "Hi", "onNewWeights": "finish"}')])).toMatchObject([
      { onNewWeights: 'finish' },
    ]);
  });

  it('puts what is too long to the dead letters, without looking into it', async () => {
    const deadLetters = new MemoryDeadLetters();
    const sizes = [64 * 1024, 64 * 1024 + 1].map((size) => record('x'.repeat(size)));
    expect(await promptsOf(sizes, deadLetters)).toHaveLength(1);
    expect(deadLetters.letters).toEqual([
      expect.objectContaining({
        code: 'prompt-oversized',
        message: expect.stringMatching(/65537 bytes, more than 65536/),
      }),
    ]);
  });

  it('takes text of any kind that is no JSON object', async () => {
    const texts = ['plain', '[1, 2]', '"quoted"', ' spaces ', 'naïve ☃'];
    expect((await promptsOf(texts.map((text) => record(text)))).map(({ text }) => text)).toEqual(texts);
  });

  it.each([
    ['', /prompt/],
    ['{"prompt": ""}', /prompt/],
    ['{"text": "a"}', /prompt/],
    ['{"prompt": "a", "maxToken": 3}', /maxToken/],
    ['{"prompt": "a", "maxTokens": 0}', /maxTokens/],
    ['{"prompt": "a", "temperature": "hot"}', /temperature/],
    ['{"prompt": "a", "topP": 0}', /topP/],
    ['{"prompt": "a", "deadlineMs": 0}', /deadlineMs/],
    ['{"prompt": "a", "deadline": "tomorrow"}', /deadline/],
    ['{"prompt": "a", "onNewWeights": "wait"}', /onNewWeights/],
    ['{"prompt": "a", "stop": [""]}', /stop/],
    [JSON.stringify({ prompt: 'a', stop: Array.from({ length: 17 }, String) }), /stop/],
    ['{"prompt": ', /JSON/],
  ])('puts %j to the dead letters, saying why, and goes on', async (value, why) => {
    const deadLetters = new MemoryDeadLetters();
    expect(await promptsOf([record(value, 'k'), record('next')], deadLetters)).toHaveLength(1);
    expect(deadLetters.letters).toEqual([
      {
        at: { topic: 'ask', partition: 2, offset: 5 },
        code: 'prompt-invalid',
        message: expect.stringMatching(why),
        key: Buffer.from('k'),
        value: Buffer.from(value),
      },
    ]);
  });

  it('puts what is no text to the dead letters as such', async () => {
    const deadLetters = new MemoryDeadLetters();
    await promptsOf([record(Buffer.of(0xff))], deadLetters);
    expect(deadLetters.letters).toEqual([expect.objectContaining({ code: 'record-not-utf8' })]);
  });

  it.each([
    [jsonFormat(), '{"prompt": "Hi", "seed": 3, "topK": null}', { text: 'Hi', seed: 3, topK: 0 }],
    [jsonFormat('q.text'), '{"q": {"text": "Hi"}, "seed": 3}', { text: 'Hi', seed: 0 }],
    [jsonFormat(), '"Hi"', { code: 'prompt-invalid' }],
    [jsonFormat(), 'Hi', { code: 'record-not-json' }],
    [jsonFormat('q.text'), '{"q": {"prompt": "Hi"}}', { code: 'field-missing' }],
    [textFormat, '\uFEFFHi', { text: 'Hi' }],
    [textFormat, '\uFEFF{"prompt": "Hi"}', { text: 'Hi' }],
  ])('reads them in the format of the topic (case %#)', async (format, value, outcome) => {
    const deadLetters = new MemoryDeadLetters();
    const flow = from([source.item(record(value))]);
    const found = await lastValueFrom(flow.pipe(prompts({ deadLetters, formats: { of: () => format } }), toArray()));
    expect([...valuesOf(found), ...deadLetters.letters]).toMatchObject([outcome]);
  });

  it.each([plainFormat, jsonFormat(), jsonFormat('q.text')])('reads what it writes (case %#)', async (format) => {
    const value = await format.write(promptContent({ prompt: 'Hi "you"', id: 'mine' }, format));
    const flow = from([source.item(record(Buffer.from(value), 'mine'))]);
    const options = { deadLetters: deadLettersThatFail, formats: { of: () => format } };
    const found = await lastValueFrom(flow.pipe(prompts(options), toArray()));
    expect(valuesOf(found)).toMatchObject([{ text: 'Hi "you"', id: 'mine' }]);
  });

  it('ends when the dead letter cannot be written', async () => {
    await expect(promptsOf([record('')])).rejects.toMatchObject({ code: 'dead-letter-failed' });
  });

  it('refuses defaults that no prompt could have', () => {
    expect(() => prompts({ deadLetters: deadLettersThatFail, defaults: { maxTokens: 0 } })).toThrow(/maxTokens/);
  });
});
