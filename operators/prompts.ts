import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { each } from './each.ts';
import type { Element } from './flow.ts';
import type { DeadLetters } from './ports.ts';
import type { LogRecord, Prompt } from './types.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

export interface PromptsOptions {
  readonly deadLetters: DeadLetters;
  /** Used where a prompt does not say. */
  readonly defaults?: Partial<Settings>;
}

type Settings = Omit<Prompt, 'id' | 'text'>;

const settingsSchema = z.strictObject({
  maxTokens: z.int().min(1).max(100_000).default(64).describe('Tokens that an answer has at most.'),
  temperature: z.number().min(0).max(10).default(0.8).describe('0 always takes the likeliest token.'),
  topK: z.int().min(0).default(0).describe('Only the k likeliest tokens; 0 for all.'),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(0.95)
    .describe('Only the likeliest tokens that together reach this probability.'),
  seed: z.int().min(0).default(0).describe('Same seed, same weights, same prompt: same answer.'),
});

/** A prompt record: JSON such as `{"prompt": "The Congress", "maxTokens": 32}`, or the bare text. */
const promptSchema = z.strictObject({
  prompt: z.string().min(1),
  id: z.string().min(1).optional(),
  ...settingsSchema.shape,
});

/**
 * Emits a prompt for each record: a JSON object, or bare text. Its id is the one that it carries, else the record's key,
 * else its coordinates.
 *
 * Order: kept. Backpressure: goes on under the record's bytes. Poison: what is neither goes to the dead letters; a
 * tombstone is passed over. No state.
 */
export function prompts(options: PromptsOptions): OperatorFunction<Element<LogRecord>, Element<Prompt>> {
  const defaults = settingsSchema.parse(options.defaults ?? {});
  return each((record) => {
    if (record.value === null) return null;
    try {
      return toPrompt(record, record.value, defaults);
    } catch (error) {
      const at = { topic: record.topic, partition: record.partition, offset: record.offset };
      const message = `Not a prompt: ${error instanceof z.ZodError ? reasons(error) : String(error)}`;
      const letter = { at, code: 'prompt-invalid', message, key: record.key, value: record.value } as const;
      return options.deadLetters.put(letter).then(() => null);
    }
  });
}

/** On one line, since headers and terminals show it so. */
function reasons({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; ');
}

function toPrompt(record: LogRecord, value: Uint8Array, defaults: Settings): Prompt {
  const body = new TextDecoder('utf-8', { fatal: true }).decode(value);
  const json = body.trimStart().startsWith('{') ? z.looseObject({}).parse(JSON.parse(body)) : { prompt: body };
  const { prompt: text, id, ...settings } = promptSchema.parse({ ...defaults, ...json });
  const key = record.key === null ? undefined : new TextDecoder().decode(record.key);
  return { ...settings, text, id: id ?? key ?? `${record.topic}/${record.partition}/${record.offset}` };
}

export const promptsKind: OperatorKind = defineKind({
  kind: 'prompts',
  summary: 'Reads each record as a prompt: JSON with settings, or bare text.',
  input: 'record',
  output: 'prompt',
  config: settingsSchema,
  changes: { maxTokens: 'live', temperature: 'live', topK: 'live', topP: 'live', seed: 'live' },
  build: (_uid, defaults, { deadLetters }) => prompts({ deadLetters, defaults }),
});
