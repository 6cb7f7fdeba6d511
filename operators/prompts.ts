import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import { each } from './each.ts';
import { MillraceError } from './errors.ts';
import { contentWith } from './field-path.ts';
import type { Content } from './field-path.ts';
import type { Element } from './flow.ts';
import { plainFormat, textIn, withoutMark } from './formats.ts';
import type { Formats, TopicFormat } from './formats.ts';
import { orDeadLetter } from './poison.ts';
import type { DeadLetters } from './ports.ts';
import type { LogRecord, Prompt } from './types.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

export interface PromptsOptions {
  readonly deadLetters: DeadLetters;
  /** Used where a prompt does not say. */
  readonly defaults?: Partial<Settings>;
  /** Values are UTF-8 text when absent. */
  readonly formats?: Formats;
}

type Settings = Omit<Prompt, 'id' | 'at' | 'text'>;

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

/** A prompt record: fields such as `{"prompt": "The Congress", "maxTokens": 32}`, or the bare text. */
const promptSchema = z.strictObject({
  prompt: z.string().min(1),
  id: z.string().min(1).optional(),
  ...settingsSchema.shape,
});

/**
 * Emits a prompt for each record: in a topic without a format a JSON object or bare text, in others what the format holds;
 * where the topic names a field, its text is the prompt and nothing else is looked at. A prompt's id is the one that it
 * carries, else the record's key, else its coordinates.
 *
 * Order: kept. Backpressure: goes on under the record's bytes. Poison: what is no prompt goes to the dead letters; a
 * tombstone is passed over. Errors: what a format needs and can't have now ends the flow. No state.
 */
export function prompts(options: PromptsOptions): OperatorFunction<Element<LogRecord>, Element<Prompt>> {
  const { deadLetters, formats = { of: () => plainFormat } } = options;
  const defaults = settingsSchema.parse(options.defaults ?? {});
  return each((record) => {
    const { value } = record;
    if (value === null) return null;
    return orDeadLetter(record, deadLetters, () => {
      const format = formats.of(record.topic);
      const content = format.read(value);
      return content instanceof Promise
        ? content.then((read) => toPrompt(record, read, format, defaults))
        : toPrompt(record, content, format, defaults);
    });
  });
}

function toPrompt(record: LogRecord, content: Content, format: TopicFormat, defaults: Settings): Prompt {
  try {
    const { prompt: text, id, ...settings } = promptSchema.parse({ ...defaults, ...fieldsOf(record, content, format) });
    const key = record.key === null ? undefined : new TextDecoder().decode(record.key);
    const { topic, partition, offset } = record;
    const at = { topic, partition, offset };
    return { ...settings, text, at, id: id ?? key ?? `${topic}/${partition}/${offset}` };
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    const reason = error instanceof z.ZodError ? reasons(error) : String(error);
    throw new MillraceError('prompt-invalid', `Not a prompt: ${reason}`, { cause: error });
  }
}

/** What a prompt says of itself. Null is what formats put where nothing was said. */
function fieldsOf({ value }: LogRecord, content: Content, format: TopicFormat): object {
  if (format.field !== null) return { prompt: textIn(content, format, value ?? new Uint8Array()) };
  if (typeof content === 'string' && format.name !== 'json') {
    const text = withoutMark(content);
    return text.trimStart().startsWith('{') ? z.looseObject({}).parse(JSON.parse(text)) : { prompt: text };
  }
  const fields = z.looseObject({}).parse(content);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** What a prompt's record may say; where it does not, the graph decides. */
export interface PromptFields extends Partial<Settings> {
  readonly prompt: string;
  readonly id?: string;
}

/** A prompt as a topic of this format holds it. With a field of its own there is only room for the text. */
export function promptContent(asked: PromptFields, { field }: TopicFormat): Content {
  return field === null ? { ...asked } : contentWith(field, asked.prompt);
}

/** On one line, since headers and terminals show it so. */
function reasons({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; ');
}

export const promptsKind: OperatorKind = defineKind({
  kind: 'prompts',
  summary: 'Reads each record as a prompt: fields with settings, or bare text.',
  input: 'record',
  output: 'prompt',
  config: settingsSchema,
  build: (_uid, defaults, { deadLetters, formats }) => prompts({ deadLetters, defaults, formats }),
});
