import { lastValueFrom, takeWhile, tap } from 'rxjs';
import { z } from 'zod';
import { logDeadLetters } from '../../../infra/index.ts';
import { batch, decode, ingest, isItem, surprise, tokenize, trainStep } from '../../../operators/index.ts';
import type { Tokenizer, TopicLog, Trainer } from '../../../operators/index.ts';
import type { Shape } from '../shapes.ts';

export interface ExamineOptions extends Shape {
  readonly log: TopicLog;
  readonly tokenizer: Tokenizer;
  readonly trainer: Trainer;
  readonly onProgress: (documents: number) => void;
}

/** What the pipeline said of a line. */
export interface LineFigures {
  readonly bitsPerByte: number;
  /** Null for the first ones of a topic. */
  readonly sigma: number | null;
}

const recordSchema = z.object({
  at: z.object({ offset: z.int() }),
  bitsPerByte: z.number(),
  sigma: z.number().nullable(),
});

const [TEXT, OUT] = ['text', 'surprise'];
const EVERY = 5000;

/**
 * Trains on the lines once, in order, through the whole pipeline, and resolves with what operator `surprise` published of each,
 * by its place; nothing of the last ones, which fill no batch.
 */
export async function examine(
  lines: readonly string[],
  options: ExamineOptions,
): Promise<readonly (LineFigures | undefined)[]> {
  const { log, tokenizer, trainer, rows, context, onProgress } = options;
  for (const topic of [TEXT, OUT]) await log.createTopic(topic);
  for (let at = 0; at < lines.length; at += EVERY) {
    await log.produce(
      TEXT,
      lines.slice(at, at + EVERY).map((value) => ({ value })),
    );
  }
  const tokens = await countTokens(lines, tokenizer);
  const whole = tokens - (tokens % (rows * context));
  let told = 0;
  const flow = log.topic(TEXT).pipe(
    ingest({ window: '1MB' }),
    decode({ deadLetters: logDeadLetters(log, 'deadletters') }),
    tokenize(tokenizer),
    batch({ rows, context, endOfText: tokenizer.endOfText }),
    trainStep(trainer),
    surprise({
      uid: OUT,
      jobId: 'bench',
      log,
      tokenizer,
      topic: OUT,
      window: 1000,
      tokens: 0,
      alerts: { topic: OUT },
      rules: [],
    }),
    tap((element) => {
      if (!isItem(element)) return;
      const documents = element.value.spans.at(-1)?.to ?? 0;
      if (documents - told < EVERY) return;
      told = documents;
      onProgress(documents);
    }),
    takeWhile((element) => !isItem(element) || element.value.totals.tokens < whole, true),
  );
  await lastValueFrom(flow);
  return published(log, lines.length);
}

async function countTokens(lines: readonly string[], tokenizer: Tokenizer): Promise<number> {
  let tokens = 0;
  for (const line of lines) tokens += (await tokenizer.encode(line)).length + 1;
  return tokens;
}

async function published(log: TopicLog, count: number): Promise<readonly (LineFigures | undefined)[]> {
  const figures = Array.from({ length: count }, (): LineFigures | undefined => undefined);
  const reader = log.reader([{ topic: OUT, partition: 0, offset: 0 }]);
  for (let records = await reader.poll(); records.length > 0; records = await reader.poll()) {
    for (const { value } of records) {
      const { at, ...record } = recordSchema.parse(JSON.parse(Buffer.from(value ?? []).toString()));
      figures[at.offset] = record;
    }
  }
  await reader.close();
  return figures;
}
