import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { lastValueFrom, takeUntil, toArray } from 'rxjs';
import type { Observable } from 'rxjs';
import { joinPieces } from './answering.ts';
import type { AnswerPiece, Prompt } from './answering.ts';
import { errorAnswer } from './api-error.ts';
import { asyncValues } from './async-values.ts';
import type { Waiting } from './async-values.ts';
import type { Asked } from './openai-requests.ts';
import { fingerprint, usageOf } from './responses.ts';
import type { ResponseForm } from './responses.ts';

const waiting: Waiting<AnswerPiece> = { keyOf: ({ index }) => index, join: joinPieces };

export interface Exchange {
  readonly asked: Asked;
  readonly prompts: readonly Prompt[];
  readonly answers: Observable<AnswerPiece>;
  readonly form: ResponseForm;
  /** When the client hangs up, the answers are cancelled. */
  readonly over: Observable<unknown>;
}

/**
 * Answers at once when all is said, or as a stream of events. Parts that come faster than the client reads become one, so
 * that whoever reads slowly gets fewer and longer ones.
 */
export async function respond(reply: FastifyReply, exchange: Exchange): Promise<FastifyReply> {
  if (exchange.asked.isStream) {
    const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };
    return reply.headers(headers).send(Readable.from(events(exchange)));
  }
  const pieces = await lastValueFrom(exchange.answers.pipe(takeUntil(exchange.over), toArray()));
  return reply.send(whole(exchange, pieces));
}

function whole({ asked, prompts, form }: Exchange, pieces: readonly AnswerPiece[]): object {
  const count = prompts.length * asked.n;
  const answers = Array.from({ length: count }, (_, at) => pieces.filter(({ index }) => index === at));
  const choices = answers.map((own) => form.whole(own));
  const last = answers.flatMap((own) => own.at(-1) ?? []);
  const [first] = pieces;
  return {
    ...form.head,
    object: form.object,
    ...(first && { system_fingerprint: fingerprint(first) }),
    choices,
    usage: usageOf(asked, prompts, last),
  };
}

/** Server-sent events as OpenAI's API has them: chunks, the usage where it is asked for, and `[DONE]`. */
async function* events({ asked, prompts, answers, form, over }: Exchange): AsyncGenerator<string> {
  const last = new Map<number, AnswerPiece>();
  const head = { ...form.head, object: form.chunkObject };
  const usage = asked.includesUsage ? { usage: null } : {};
  try {
    for await (const piece of asyncValues(answers.pipe(takeUntil(over)), waiting)) {
      const isFirst = !last.has(piece.index);
      last.set(piece.index, piece);
      if (!isFirst && showsNothing(piece, asked)) continue;
      yield event({ ...head, system_fingerprint: fingerprint(piece), choices: [form.chunk(piece, isFirst)], ...usage });
    }
    if (asked.includesUsage) yield event({ ...head, choices: [], usage: usageOf(asked, prompts, last.values()) });
    yield 'data: [DONE]\n\n';
  } catch (error) {
    // The status has been sent long ago; clients look for an error in the events.
    yield event(errorAnswer(error).body);
  }
}

/** Such as the first bytes of a character, where nobody asks how likely they were. */
function showsNothing({ text, tokens, finish }: AnswerPiece, { top }: Asked): boolean {
  return text === '' && finish === null && (top === null || tokens.length === 0);
}

function event(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
