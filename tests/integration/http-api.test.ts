import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { RateLimitError } from 'openai';
import { Observable, concatMap, finalize, from, of, timer } from 'rxjs';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { openHttpServer } from '../../infra/http/index.ts';
import type { HttpOptions, HttpServer } from '../../infra/http/index.ts';
import type { ChosenProbability } from '../../model/log-probabilities.ts';
import type { SampleDelta, SampleRequest, Sampler } from '../../operators/ports.ts';
import { byteTokenizer } from '../support/byte-tokenizer.ts';
import { Deferred } from '../support/settle.ts';

/*
 * The HTTP API by OpenAI's own client, over a sampler that answers each prompt with fixed text, a byte a token.
 */

interface Spy extends Sampler {
  readonly asked: SampleRequest[];
  /** Answers that were left before their end. */
  cancelled: number;
}

function sayer(text: string, everyMs = 0): Spy {
  const spy: Spy = {
    asked: [],
    cancelled: 0,
    load: () => Promise.resolve(),
    close: () => Promise.resolve(),
    sample: (request) =>
      new Observable((subscriber) => {
        spy.asked.push(request);
        let isOver = false;
        const answer = from(deltasFor(request, text)).pipe(
          concatMap((delta) => (everyMs > 0 ? timer(everyMs).pipe(concatMap(() => of(delta))) : of(delta))),
          finalize(() => (spy.cancelled += isOver ? 0 : 1)),
        );
        return answer.subscribe({
          next: (d) => subscriber.next(d),
          complete: () => ((isOver = true), subscriber.complete()),
        });
      }),
  };
  return spy;
}

function score(token: number): ChosenProbability {
  return { token, logProbability: -0.5, top: [] };
}

function deltasFor(request: SampleRequest, text: string): SampleDelta[] {
  const bytes = [...Buffer.from(text)].slice(0, request.maxTokens);
  return bytes.map((byte, at) => ({
    tokens: Int32Array.of(byte),
    ...(request.topLogProbabilities === undefined ? {} : { logProbabilities: [score(byte)] }),
    ...(at > 0 || request.topPromptLogProbabilities === undefined
      ? {}
      : { promptLogProbabilities: Array.from(request.prompt.slice(1), score) }),
    ...(at === 0 ? { read: { tokens: request.prompt.length, reused: 2 } } : {}),
    weights: { id: 'c7', step: 42 },
    finish: at < bytes.length - 1 ? null : bytes.length < Buffer.byteLength(text) ? 'length' : 'stop',
  }));
}

let server: HttpServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

const warnings: string[] = [];

async function serve(sampler: Sampler, options: Partial<HttpOptions> = {}): Promise<OpenAI> {
  server = await openHttpServer({
    host: '127.0.0.1',
    port: 0,
    sampler,
    tokenizer: byteTokenizer,
    model: { id: 'sotu', maxContext: 64, createdAtMs: 1_000_000, isReady: () => true },
    logger: { info: () => undefined, warn: (message) => warnings.push(message) },
    ...options,
  });
  return new OpenAI({ baseURL: `${server.url}/v1`, apiKey: options.token ?? 'none', maxRetries: 0 });
}

test('the models are those that speak', async () => {
  const client = await serve(sayer('hello'));
  const { data } = await client.models.list();
  expect(data).toMatchObject([{ id: 'sotu', object: 'model', created: 1000, owned_by: 'millrace' }]);
  expect(await client.models.retrieve('sotu')).toMatchObject({ id: 'sotu' });
  await expect(client.models.retrieve('other')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
});

test('a completion goes on with its prompt, by the settings that it brings', async () => {
  const spy = sayer('Grüße!');
  const client = await serve(spy);
  const answer = await client.completions.create({
    model: 'sotu',
    prompt: 'Hi',
    max_tokens: 20,
    temperature: 0.5,
    seed: 7,
    frequency_penalty: 1,
    logit_bias: { '3': -100 },
  });
  expect(answer).toMatchObject({
    object: 'text_completion',
    model: 'sotu',
    system_fingerprint: 'step-42-c7',
    choices: [{ index: 0, text: 'Grüße!', finish_reason: 'stop', logprobs: null }],
    usage: { prompt_tokens: 3, completion_tokens: 8, total_tokens: 11 },
  });
  expect(spy.asked[0]).toMatchObject({
    maxTokens: 20,
    temperature: 0.5,
    seed: 7,
    frequencyPenalty: 1,
    logitBias: { 3: -100 },
  });
  expect([...(spy.asked[0]?.prompt ?? [])]).toEqual([byteTokenizer.endOfText, ...Buffer.from('Hi')]);
});

test('a stream comes in whole characters, with the usage and an end', async () => {
  const client = await serve(sayer('Grüße!'));
  const stream = await client.completions.create({
    model: 'sotu',
    prompt: 'Hi',
    max_tokens: 7,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const texts = chunks.flatMap(({ choices }) => choices.map(({ text }) => text));
  expect(texts.join('')).toBe('Grüße');
  expect(texts.filter((text) => text.includes('\u{FFFD}'))).toEqual([]);
  expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('length');
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 7 } });
});

test('stop strings are never shown, whole or in part, and end the answer', async () => {
  const spy = sayer('one\n\ntwo\nEND three', 1);
  const client = await serve(spy);
  const ask = { model: 'sotu', prompt: 'Hi', max_tokens: 30 };
  const answer = await client.completions.create({ ...ask, stop: ['\nEND', 'three'] });
  expect(answer.choices[0]).toMatchObject({ text: 'one\n\ntwo', finish_reason: 'stop' });
  expect(spy.cancelled).toBe(1);
  const texts: string[] = [];
  for await (const { choices } of await client.completions.create({ ...ask, stop: '\nEND', stream: true })) {
    texts.push(...choices.map(({ text }) => text));
  }
  expect(texts.join('')).toBe('one\n\ntwo');
});

test('several prompts have several answers each, in order', async () => {
  const spy = sayer('abc');
  const client = await serve(spy);
  const { choices, usage } = await client.completions.create({ model: 'sotu', prompt: ['x', 'yy'], n: 2, seed: 5 });
  expect(choices.map(({ index, text }) => [index, text])).toEqual([0, 1, 2, 3].map((index) => [index, 'abc']));
  expect(spy.asked.map(({ seed }) => seed)).toEqual([5, 6, 5, 6]);
  expect(usage?.completion_tokens).toBe(12);
});

test('log-probabilities are told, those of an echoed prompt too', async () => {
  const client = await serve(sayer('é!'));
  const ask = { model: 'sotu', prompt: 'Hi', logprobs: 1, echo: true };
  const { choices } = await client.completions.create({ ...ask, max_tokens: 3 });
  expect(choices[0]).toMatchObject({
    text: 'Hié!',
    logprobs: { token_logprobs: [-0.5, -0.5, -0.5, -0.5, -0.5], text_offset: [0, 1, 2, 2, 3] },
  });
  const scored = await client.completions.create({ ...ask, max_tokens: 0 });
  expect(scored.choices[0]).toMatchObject({ text: 'Hi', logprobs: { tokens: ['H', 'i'] }, finish_reason: 'length' });
  expect(scored.usage?.completion_tokens).toBe(0);
});

test('a stream tells the probabilities of all tokens, also of those that only begin a character', async () => {
  const client = await serve(sayer('aé€b', 1));
  const tokens: string[] = [];
  const ask = { model: 'sotu', prompt: 'Hi', max_tokens: 7, logprobs: 0 };
  for await (const { choices } of await client.completions.create({ ...ask, stream: true })) {
    for (const { logprobs } of choices) tokens.push(...(logprobs?.tokens ?? []));
  }
  expect(tokens).toHaveLength(7);
});

test('a prompt of tokens may bring its beginning, which has no probability; the token that ends an answer has one', async () => {
  const { endOfText } = byteTokenizer;
  const end = { token: endOfText, logProbability: -0.25, top: [] };
  const weights = { id: 'c7', step: 42 };
  const spy = sayer('');
  const delta = { tokens: new Int32Array(), logProbabilities: [end], weights, finish: 'stop' as const };
  const sample: Sampler['sample'] = (request) => {
    spy.asked.push(request);
    return of({ ...delta, promptLogProbabilities: Array.from(request.prompt.slice(1), score) });
  };
  const client = await serve({ ...spy, sample });
  const prompt = [endOfText, ...Buffer.from('Hi')];
  const ask = { model: 'sotu', prompt, logprobs: 1, echo: true, max_tokens: 1 };
  const { choices, usage } = await client.completions.create(ask);
  expect([...(spy.asked[0]?.prompt ?? [])]).toEqual(prompt);
  expect(choices[0]).toMatchObject({
    text: 'Hi',
    finish_reason: 'stop',
    logprobs: { tokens: ['', 'H', 'i', ''], token_logprobs: [null, -0.5, -0.5, -0.25], text_offset: [0, 0, 1, 2] },
  });
  expect(usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 0 });
});

test('the tokenizer is served as vLLM does', async () => {
  await serve(sayer('x'), { token: 'secret' });
  const headers = { authorization: 'Bearer secret', 'content-type': 'application/json' };
  const ask = async (path: string, body?: object): Promise<unknown> => {
    const method = body ? 'POST' : 'GET';
    const response = await fetch(`${server?.url}/${path}`, { method, headers, body: JSON.stringify(body) });
    return response.json();
  };
  expect(await ask('tokenize', { prompt: 'é', add_special_tokens: false })).toEqual({
    count: 2,
    max_model_len: 64,
    tokens: [0xc3, 0xa9],
  });
  expect(await ask('tokenize', { prompt: 'a' })).toMatchObject({ tokens: [256, 97] });
  expect(await ask('detokenize', { tokens: [256, 0xc3, 0xa9] })).toEqual({ prompt: 'é' });
  expect(await ask('detokenize', { tokens: [257] })).toMatchObject({ error: { param: 'tokens' } });
  const info = z.object({ eos_token: z.string() }).parse(await ask('tokenizer_info'));
  expect(await ask('tokenize', { prompt: info.eos_token, add_special_tokens: false })).toMatchObject({ tokens: [256] });
  expect((await fetch(`${server?.url}/tokenizer_info`)).status).toBe(401);
});

test('a conversation is read as a script, or by the template that the job gives', async () => {
  const messages = [
    { role: 'system' as const, content: 'Be brief.' },
    { role: 'user' as const, content: [{ type: 'text' as const, text: 'Hi' }] },
  ];
  const spy = sayer('Hello.');
  const client = await serve(spy);
  const answer = await client.chat.completions.create({ model: 'sotu', messages, logprobs: true, max_tokens: 6 });
  expect(Buffer.from(spy.asked[0]?.prompt.slice(1) ?? []).toString()).toBe('System: Be brief.\nUser: Hi\nAssistant:');
  expect(answer).toMatchObject({
    object: 'chat.completion',
    choices: [{ message: { role: 'assistant', content: 'Hello.' }, finish_reason: 'stop' }],
  });
  expect(answer.choices[0]?.logprobs?.content?.[0]).toMatchObject({ token: 'H', logprob: -0.5, bytes: [72] });
  let said = '';
  const stream = await client.chat.completions.create({ model: 'sotu', messages, stream: true });
  for await (const { choices } of stream) said += choices[0]?.delta.content ?? '';
  expect(said).toBe('Hello.');
  await server?.close();

  const other = await serve(spy, { chatTemplate: '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}' });
  await other.chat.completions.create({ model: 'sotu', messages });
  expect(Buffer.from(spy.asked.at(-1)?.prompt.slice(1) ?? []).toString()).toBe('<system>Be brief.<user>Hi');
});

test.each([
  ['another model', { model: 'gpt-9' }, 404, 'model', /no model "gpt-9"/],
  ['a setting out of range', { temperature: -1 }, 400, 'temperature', /temperature/],
  ['more than there is room for', { max_tokens: 999 }, 400, 'max_tokens', /The context has 64 tokens/],
  ['a suffix', { suffix: 'x' }, 400, 'suffix', /not supported/],
  ['more answers than are shown', { best_of: 3 }, 400, 'best_of', /not supported/],
  ['a token beyond the vocabulary', { prompt: [999_999] }, 400, 'prompt', /vocabulary/],
])('%s is refused in the words of the API', async (_, change, status, param, message) => {
  const client = await serve(sayer('x'));
  const asked = client.completions.create({ model: 'sotu', prompt: 'Hi', ...change });
  await expect(asked).rejects.toMatchObject({
    status,
    param,
    type: 'invalid_request_error',
    message: expect.stringMatching(message),
  });
});

test('whoever brings no token is sent away; the probes are open', async () => {
  const client = await serve(sayer('x'), { token: 'secret' });
  expect((await client.models.list()).data).toHaveLength(1);
  const stranger = new OpenAI({ baseURL: client.baseURL, apiKey: 'wrong', maxRetries: 0 });
  await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
  expect((await fetch(`${server?.url}/healthz`)).status).toBe(200);
  expect((await fetch(`${server?.url}/readyz`)).status).toBe(200);
});

test('without weights nothing is said, and the probe tells so', async () => {
  const model = { id: 'sotu', maxContext: 64, createdAtMs: 0, isReady: () => false };
  const client = await serve(sayer('x'), { model });
  expect((await fetch(`${server?.url}/readyz`)).status).toBe(503);
  await expect(client.completions.create({ model: 'sotu', prompt: 'Hi' })).rejects.toMatchObject({ status: 503 });
});

test('others are not let in without a token, nor is a port taken twice', async () => {
  await expect(serve(sayer('x'), { host: '0.0.0.0' })).rejects.toMatchObject({
    code: 'bad-usage',
    message: expect.stringMatching(/token/),
  });
  await serve(sayer('x'));
  const taken = Number(new URL(server?.url ?? '').port);
  const first = server;
  await expect(serve(sayer('x'), { port: taken })).rejects.toMatchObject({ code: 'bad-usage' });
  server = first;
});

test('an answer ends at its deadline with what it has so far; prompts that were read before are counted', async () => {
  const spy = sayer('x'.repeat(60), 30);
  const client = await serve(spy);
  const ask = { model: 'sotu', prompt: 'Hi', max_tokens: 60, n: 2, deadline_ms: 100, on_new_weights: 'finish' };
  const { choices, usage } = await client.completions.create(ask);
  expect(choices.map(({ finish_reason: reason }) => reason)).toEqual(['deadline', 'deadline']);
  expect(choices[0]?.text.length).toBeLessThan(60);
  expect(spy.cancelled).toBe(2);
  expect(spy.asked.map(({ onNewWeights }) => onNewWeights)).toEqual(['finish', 'finish']);
  expect(usage).toMatchObject({ prompt_tokens: 3, prompt_tokens_details: { cached_tokens: 2 } });
});

test.each([
  ['100', 60_000, 'deadline'],
  ['60000', 100, 'deadline'],
  ['60000', null, 'stop'],
])(
  'of a timeout in the headers (%s ms) and a deadline (%s ms) the earlier one counts',
  async (timeout, deadline, finish) => {
    const client = await serve(sayer('x'.repeat(20), 30));
    const ask = { model: 'sotu', prompt: 'Hi', max_tokens: 20, deadline_ms: deadline };
    const headers = { 'Request-Timeout-Ms': timeout };
    const { choices } = await client.completions.create(ask, { headers });
    expect(choices[0]?.finish_reason).toBe(finish);
    const messages = [{ role: 'user' as const, content: 'Hi' }];
    const chat = client.chat.completions.create(
      { model: 'sotu', messages, max_tokens: 20 },
      { headers: { 'Request-Timeout-Ms': '1.5' } },
    );
    await expect(chat).rejects.toMatchObject({ status: 400, param: 'Request-Timeout-Ms' });
  },
);

test('limits hold: bodies, requests a minute, answers under way', async () => {
  const limits = { bodyBytes: 200, requestsPerMinute: 3, answers: 2 };
  const client = await serve(sayer('x'.repeat(20), 10), { limits });
  const ask = { model: 'sotu', prompt: 'Hi' };
  await expect(client.completions.create({ ...ask, prompt: 'x'.repeat(300) })).rejects.toMatchObject({ status: 413 });
  await expect(client.completions.create({ ...ask, n: 3 })).rejects.toMatchObject({ status: 429 });
  expect((await client.completions.create({ ...ask, n: 2 })).choices).toHaveLength(2);
  await expect(client.completions.create(ask)).rejects.toMatchObject({ status: 429, type: 'rate_limit_error' });
});

test('a stream ends with [DONE]', async () => {
  await serve(sayer('x'));
  const body = JSON.stringify({ model: 'sotu', prompt: 'Hi', stream: true });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${server?.url}/v1/completions`, { method: 'POST', headers, body });
  expect(await response.text()).toMatch(/^data: \{.*\}\n\ndata: \[DONE\]\n\n$/s);
});

test('whoever hangs up before anything is read gives the place back', async () => {
  const gate = new Deferred<void>();
  const isAsked = new Deferred<void>();
  const tokenizer = {
    ...byteTokenizer,
    encode: async (text: string) => {
      isAsked.resolve();
      await gate.promise;
      return byteTokenizer.encode(text);
    },
  };
  const client = await serve(sayer('x'), { tokenizer, limits: { answers: 1 } });
  const call = httpRequest(`${server?.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  });
  call.on('error', () => undefined).end(JSON.stringify({ model: 'sotu', prompt: 'Hi', stream: true }));
  await isAsked.promise;
  const closed = new Promise((resolve) => call.once('close', resolve));
  call.destroy();
  await closed;
  // The server hears of it before it hears of a later connection.
  await fetch(`${server?.url}/healthz`);
  gate.resolve();
  await expect.poll(() => isAnswered(client), { timeout: 20_000 }).toBe(true);
});

test('whoever reads nothing is hung up on, and gives the place back', async () => {
  // More than the sockets in between hold.
  const tokenizer = { ...byteTokenizer, decode: (tokens: Int32Array) => Buffer.alloc(tokens.length * 1e6, 'x') };
  const spy = sayer('x'.repeat(40), 1);
  const client = await serve(spy, { tokenizer, limits: { answers: 1, stalledMs: 300 } });
  const { port } = new URL(server?.url ?? '');
  const socket = connect(Number(port), '127.0.0.1').pause();
  const body = JSON.stringify({ model: 'sotu', prompt: 'Hi', max_tokens: 40, stream: true });
  const type = 'content-type: application/json';
  socket.on('error', () => undefined);
  socket.write(`POST /v1/completions HTTP/1.1\r\nhost: x\r\n${type}\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  await expect.poll(() => spy.asked.length, { timeout: 20_000 }).toBe(1);
  await expect.poll(() => isAnswered(client), { timeout: 20_000 }).toBe(true);
  socket.destroy();
}, 30_000);

/** Whether there is a place for another answer. */
async function isAnswered(client: OpenAI): Promise<boolean> {
  try {
    return (await client.completions.create({ model: 'sotu', prompt: 'Hi', max_tokens: 1 })).choices.length === 1;
  } catch (error) {
    if (error instanceof RateLimitError) return false;
    throw error;
  }
}

test.each([false, true])('hanging up cancels the answer (stream: %s)', async (stream) => {
  const spy = sayer('x'.repeat(60), 20);
  await serve(spy);
  const body = JSON.stringify({ model: 'sotu', prompt: 'Hi', max_tokens: 60, stream });
  const headers = { 'content-type': 'application/json' };
  const call = httpRequest(`${server?.url}/v1/completions`, { method: 'POST', headers });
  call.on('error', () => undefined).end(body);
  while (spy.asked.length === 0) await sleep(5);
  call.destroy();
  while (spy.cancelled === 0) await sleep(5);
  expect(spy.asked).toHaveLength(1);
});
