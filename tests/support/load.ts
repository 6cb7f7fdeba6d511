import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { z } from 'zod';

export interface LoadOptions {
  /** Of the server. */
  readonly url: string;
  readonly model: string;
  /** Requests under way at once. */
  readonly atOnce: number;
  /** Tokens of each answer; none may end it earlier. */
  readonly tokens: number;
  /** The token that would. */
  readonly endOfText: number;
  /** Asked before each request, with how many there were; none follows when it says no. */
  readonly goesOn: (asked: number) => boolean;
}

/** One request, and what came of it. */
export interface LoadedAnswer {
  readonly id: string;
  readonly text: string;
  /** Milliseconds from the request to its first token. */
  readonly firstMs: number;
  /** From one token to the next. */
  readonly betweenMs: readonly number[];
}

export interface LoadResult {
  readonly answers: readonly LoadedAnswer[];
  /** What was wrong with other requests: errors, and answers that are not whole. */
  readonly failures: readonly string[];
}

const chunkSchema = z.looseObject({
  id: z.string(),
  choices: z.array(
    z.looseObject({
      text: z.string(),
      finish_reason: z.string().nullable(),
      logprobs: z.object({ tokens: z.array(z.string()) }),
    }),
  ),
  usage: z.looseObject({ completion_tokens: z.number() }).nullable(),
});

/** Asks over HTTP, so many at once, in streams; each request is a new prompt. Resolves when all answers have ended. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: options.atOnce });
  const answers: LoadedAnswer[] = [];
  const failures: string[] = [];
  let asked = 0;
  const client = async (): Promise<void> => {
    while (options.goesOn(asked)) {
      asked += 1;
      try {
        answers.push(await ask(agent, options, `Request ${asked}: the people`));
      } catch (error) {
        failures.push(String(error));
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: options.atOnce }, client));
  } finally {
    agent.destroy();
  }
  return { answers, failures };
}

async function ask(agent: Agent, options: LoadOptions, prompt: string): Promise<LoadedAnswer> {
  const { url, model, tokens, endOfText } = options;
  const startMs = performance.now();
  const response = await post(agent, `${url}/v1/completions`, {
    model,
    prompt,
    max_tokens: tokens,
    logit_bias: { [endOfText]: -100 },
    logprobs: 0,
    stream: true,
    stream_options: { include_usage: true },
  });
  const heard = {
    ids: new Set<string>(),
    text: '',
    tokens: 0,
    finished: [] as string[],
    usage: [] as number[],
    done: 0,
  };
  const betweenMs: number[] = [];
  let [firstMs, lastMs] = [Number.NaN, startMs];
  for await (const line of createInterface({ input: response })) {
    if (line === 'data: [DONE]') heard.done += 1;
    if (!line.startsWith('data: {')) continue;
    const { id, choices, usage } = chunkSchema.parse(JSON.parse(line.slice('data: '.length)));
    heard.ids.add(id);
    if (usage) heard.usage.push(usage.completion_tokens);
    for (const { text, finish_reason: finish, logprobs } of choices) {
      const count = logprobs.tokens.length;
      const nowMs = performance.now();
      if (heard.tokens > 0) betweenMs.push(...Array.from({ length: count }, () => (nowMs - lastMs) / count));
      else if (count > 0) firstMs = nowMs - startMs;
      if (count > 0) lastMs = nowMs;
      heard.text += text;
      heard.tokens += count;
      if (finish !== null) heard.finished.push(finish);
    }
  }
  const [id = ''] = heard.ids;
  const isWhole =
    heard.ids.size === 1 &&
    heard.tokens === tokens &&
    heard.done === 1 &&
    heard.finished.join() === 'length' &&
    heard.usage.join() === String(tokens);
  if (!isWhole) throw new Error(`Not one whole answer: ${JSON.stringify({ ...heard, ids: [...heard.ids] })}`);
  return { id, text: heard.text, firstMs, betweenMs };
}

async function post(agent: Agent, url: string, body: object): Promise<IncomingMessage> {
  const headers = { 'content-type': 'application/json' };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const call = request(url, { method: 'POST', agent, headers }, resolve);
    call.on('error', reject).end(JSON.stringify(body));
  });
  if (response.statusCode === 200) return response;
  const text = (await response.setEncoding('utf8').toArray()).join('');
  throw new Error(`${response.statusCode}: ${text}`);
}
