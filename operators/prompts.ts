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
import type { Cancellation, LogRecord, OnNewWeights, Prompt } from './types.ts';
import { byteSizeSchema, toBytes } from './units.ts';
import type { ByteSize } from './units.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

/** A context is a few thousand tokens; what goes far beyond that is a mistake, or worse. */
export const MOST_PROMPT_BYTES = '64KB';

export interface PromptsOptions {
  readonly deadLetters: DeadLetters;
  /** Used where a prompt does not say. */
  readonly defaults?: Partial<Settings>;
  /** Longer values are dead letters; 64 KB when absent. */
  readonly maxBytes?: ByteSize;
  /** Asked for each prompt, where these may change meanwhile. */
  readonly current?: () => Settings & { readonly maxBytes: ByteSize };
  /** Values are UTF-8 text when absent. */
  readonly formats?: Formats;
}

type Settings = Pick<Prompt, 'maxTokens' | 'temperature' | 'topK' | 'topP' | 'seed' | 'stop'>;

/** Of one prompt; OpenAI takes 4, and tasks of benchmarks have more. */
export const MOST_STOPS = 16;

const stopString = z.string().min(1);
const stopStrings = z.array(stopString).max(MOST_STOPS);

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
  stop: stopStrings.default([]).describe('Texts before which an answer ends.'),
});

/** A prompt record: fields such as `{"prompt": "The Congress", "maxTokens": 32}`, or the bare text. */
const promptSchema = z.strictObject({
  prompt: z.string().min(1),
  id: z.string().min(1).optional(),
  deadlineMs: z.int().min(1).optional(),
  deadline: z.iso.datetime({ offset: true }).optional(),
  onNewWeights: z.enum(['switch', 'finish']).optional(),
  ...settingsSchema.shape,
  stop: z.union([stopString.transform((one) => [one]), stopStrings]),
});

/**
 * Emits a prompt for each record: in a topic without a format a JSON object or bare text, in others what the format holds;
 * where the topic names a field, its text is the prompt and nothing else is looked at. A prompt's id is the one that it
 * carries, else the record's key, else its coordinates. A tombstone with a key is a cancellation, another is passed over.
 *
 * Order: kept. Backpressure: goes on under the record's bytes. Poison: what is no prompt, or too long, goes to the dead
 * letters. Errors: what a format needs and can't have now ends the flow. No state.
 */
export function prompts(options: PromptsOptions): OperatorFunction<Element<LogRecord>, Element<Prompt | Cancellation>> {
  const { deadLetters, formats = { of: () => plainFormat } } = options;
  const fixed = { ...settingsSchema.parse(options.defaults ?? {}), maxBytes: options.maxBytes ?? MOST_PROMPT_BYTES };
  const { current = () => fixed } = options;
  return each<LogRecord, Prompt | Cancellation>((record) => {
    const { value, topic, partition, offset } = record;
    const key = keyOf(record);
    if (value === null) return key === null ? null : { cancels: key, at: { topic, partition, offset } };
    return orDeadLetter(record, deadLetters, () => {
      const { maxBytes, ...defaults } = current();
      requireShort(value, toBytes(maxBytes));
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
    const fields = promptSchema.parse({ ...defaults, ...fieldsOf(record, content, format) });
    const { prompt: text, id, deadlineMs, deadline, onNewWeights, ...settings } = fields;
    const { topic, partition, offset, timestampMs, key } = record;
    const ends = [
      ...(deadlineMs === undefined ? [] : [timestampMs + deadlineMs]),
      ...(deadline === undefined ? [] : [Date.parse(deadline)]),
    ];
    return {
      ...settings,
      text,
      at: { topic, partition, offset },
      key: keyOf(record),
      id: id ?? (key === null ? `${topic}/${partition}/${offset}` : new TextDecoder().decode(key)),
      deadlineAtMs: ends.length > 0 ? Math.min(...ends) : null,
      onNewWeights: onNewWeights ?? null,
    };
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    const reason = error instanceof z.ZodError ? reasons(error) : String(error);
    throw new MillraceError('prompt-invalid', `Not a prompt: ${reason}`, { cause: error });
  }
}

/** Two keys are the same when their bytes are. */
function keyOf({ key }: LogRecord): string | null {
  return key && Buffer.from(key).toString('latin1');
}

function requireShort({ byteLength }: Uint8Array, maxBytes: number): void {
  if (byteLength <= maxBytes) return;
  throw new MillraceError(
    'prompt-oversized',
    `The prompt has ${byteLength} bytes, more than ${maxBytes}. Ask with its last part only, or raise prompts.maxBytes.`,
  );
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
  /** The answer ends so long after the record's timestamp, as far as it has come. */
  readonly deadlineMs?: number;
  /** The same as a point in time, in ISO 8601 with its offset; the earlier of the two counts. */
  readonly deadline?: string;
  readonly onNewWeights?: OnNewWeights;
}

/** A prompt as a topic of this format holds it. With a field of its own there is only room for the text. */
export function promptContent(asked: PromptFields, { field }: TopicFormat): Content {
  return field === null ? { ...asked } : contentWith(field, asked.prompt);
}

/** On one line, since headers and terminals show it so. */
function reasons({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; ');
}

const configSchema = settingsSchema.extend({
  maxBytes: byteSizeSchema.default(MOST_PROMPT_BYTES).describe('Longer prompts are dead letters.'),
});

export const promptsKind: OperatorKind = defineKind({
  kind: 'prompts',
  summary: 'Reads each record as a prompt: fields with settings, or bare text.',
  input: 'record',
  output: 'prompt',
  isTold: true,
  config: configSchema,
  build: (uid, config, { deadLetters, formats, told }) =>
    prompts({ deadLetters, formats, current: () => configSchema.parse(told?.get(uid) ?? config) }),
});
