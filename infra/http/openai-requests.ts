import { randomInt } from 'node:crypto';
import { z } from 'zod';
import { MOST_STOPS } from '../../operators/prompts.ts';
import type { OnNewWeights } from '../../operators/types.ts';
import { ApiError } from './api-error.ts';

/*
 * What `/v1/completions` and `/v1/chat/completions` take: OpenAI's fields, vLLM's names for settings that OpenAI does not
 * have, and names of ours for what only a model that is learning needs. Fields that say nothing about the answer, such as `user`, are passed over; those that would change it and
 * can't be followed are refused.
 */

const stop = z
  .union([
    z
      .string()
      .min(1)
      .transform((one) => [one]),
    z.array(z.string().min(1)).max(MOST_STOPS),
  ])
  .nullish();

const shared = {
  model: z.string(),
  n: z.int().min(1).max(16).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(10).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  repetition_penalty: z.number().gt(0).nullish(),
  logit_bias: z.record(z.string().regex(/^\d+$/), z.number().min(-100).max(100)).nullish(),
  seed: z.int().nullish(),
  stop,
  deadline_ms: z.int().min(1).nullish(),
  on_new_weights: z.enum(['switch', 'finish']).nullish(),
};

const tokens = z.array(z.int().min(0)).min(1);

const completionSchema = z.looseObject({
  ...shared,
  prompt: z.union([z.string(), tokens, z.array(z.string()).min(1), z.array(tokens).min(1)]),
  max_tokens: z.int().min(0).nullish(),
  logprobs: z.int().min(0).max(20).nullish(),
  echo: z.boolean().nullish(),
  best_of: z.int().nullish(),
  suffix: z.string().nullish(),
});

const part = z.looseObject({ type: z.literal('text'), text: z.string() });
const content = z.union([z.string(), z.array(part).transform((parts) => parts.map(({ text }) => text).join(''))]);

const chatSchema = z.looseObject({
  ...shared,
  messages: z.array(z.looseObject({ role: z.enum(['system', 'developer', 'user', 'assistant']), content })).min(1),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  response_format: z.looseObject({ type: z.literal('text') }).nullish(),
  tools: z.array(z.unknown()).max(0).nullish(),
});

/** How answers are drawn, in the sampler's words. */
export interface Settings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly repetitionPenalty: number;
  readonly logitBias: Readonly<Record<number, number>>;
}

/** A request of either kind. */
export interface Asked {
  readonly model: string;
  /** Answers for each prompt. */
  readonly n: number;
  readonly isStream: boolean;
  readonly includesUsage: boolean;
  readonly stop: readonly string[];
  /** Of the first answer; the others have the numbers behind it. */
  readonly seed: number;
  readonly settings: Settings;
  /** The answers end then, as far as they have come. Null for no deadline. */
  readonly deadlineMs: number | null;
  readonly onNewWeights: OnNewWeights;
  /** Null for as many as there is room for. */
  readonly maxTokens: number | null;
  /** Likeliest tokens to tell with each one, or null to tell no probabilities. */
  readonly top: number | null;
}

export interface AskedCompletion extends Asked {
  readonly prompts: readonly (string | readonly number[])[];
  /** Whether the answer begins with the prompt. */
  readonly isEcho: boolean;
}

export interface Message {
  readonly role: string;
  readonly content: string;
}

export interface AskedChat extends Asked {
  readonly messages: readonly Message[];
}

/** OpenAI's default. */
const COMPLETION_TOKENS = 16;

/** Throws an `ApiError` that names the first field that is wrong. */
export function parseCompletion(body: unknown): AskedCompletion {
  const request = parseBody(completionSchema, body);
  const { prompt, best_of: bestOf, suffix, n } = request;
  if ((bestOf ?? n ?? 1) !== (n ?? 1)) throw refusal('best_of', 'only as many answers as are shown are made');
  if (suffix) throw refusal('suffix', 'the model only goes on with a prompt');
  return {
    ...sharedOf(request),
    prompts: promptsOf(prompt),
    isEcho: request.echo ?? false,
    maxTokens: request.max_tokens ?? COMPLETION_TOKENS,
    top: request.logprobs ?? null,
  };
}

/** Throws an `ApiError` that names the first field that is wrong. */
export function parseChat(body: unknown): AskedChat {
  const request = parseBody(chatSchema, body);
  return {
    ...sharedOf(request),
    messages: request.messages.map(({ role, content: text }) => ({ role, content: text })),
    maxTokens: request.max_completion_tokens ?? request.max_tokens ?? null,
    top: request.logprobs ? (request.top_logprobs ?? 0) : null,
  };
}

function sharedOf(request: z.output<z.ZodObject<typeof shared>>): Omit<Asked, 'maxTokens' | 'top'> {
  return {
    model: request.model,
    n: request.n ?? 1,
    isStream: request.stream ?? false,
    includesUsage: request.stream_options?.include_usage ?? false,
    stop: request.stop ?? [],
    deadlineMs: request.deadline_ms ?? null,
    onNewWeights: request.on_new_weights ?? 'switch',
    seed: Math.abs(request.seed ?? randomInt(2 ** 31)),
    settings: {
      temperature: request.temperature ?? 1,
      topK: Math.max(0, request.top_k ?? 0),
      topP: request.top_p ?? 1,
      minP: request.min_p ?? 0,
      frequencyPenalty: request.frequency_penalty ?? 0,
      presencePenalty: request.presence_penalty ?? 0,
      repetitionPenalty: request.repetition_penalty ?? 1,
      logitBias: request.logit_bias ?? {},
    },
  };
}

function promptsOf(prompt: z.output<typeof completionSchema>['prompt']): AskedCompletion['prompts'] {
  if (typeof prompt === 'string') return [prompt];
  return isTokens(prompt) ? [prompt] : prompt;
}

function isTokens(prompt: readonly unknown[]): prompt is readonly number[] {
  return typeof prompt[0] === 'number';
}

/** Throws an `ApiError` that names the first field that is wrong. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  const param = first?.path.join('.') ?? '';
  throw new ApiError(400, `${param || 'The body'}: ${first?.message ?? 'not valid'}.`, { param });
}

function refusal(param: string, why: string): ApiError {
  return new ApiError(400, `${param} is not supported: ${why}.`, { param, code: 'unsupported_parameter' });
}
