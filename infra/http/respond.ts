import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { fromEvent, lastValueFrom, takeUntil, toArray } from 'rxjs';
import type { Observable } from 'rxjs';
import type { AnswerPiece, Prompt } from './answering.ts';
import { errorAnswer } from './api-error.ts';
import { asyncValues } from './async-values.ts';
import type { Asked } from './openai-requests.ts';
import { fingerprint, usageOf } from './responses.ts';
import type { ResponseForm } from './responses.ts';

export interface Exchange {
  readonly asked: Asked;
  readonly prompts: readonly Prompt[];
  readonly answers: Observable<AnswerPiece>;
  readonly form: ResponseForm;
}

/** Answers at once when all is said, or as a stream of events; when the client hangs up, the answers are cancelled. */
export async function respond(request: FastifyRequest, reply: FastifyReply, exchange: Exchange): Promise<FastifyReply> {
  if (exchange.asked.isStream) {
    const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };
    return reply.headers(headers).send(Readable.from(events(exchange)));
  }
  const hangsUp = fromEvent(request.raw.socket, 'close');
  const pieces = await lastValueFrom(exchange.answers.pipe(takeUntil(hangsUp), toArray()));
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
async function* events({ asked, prompts, answers, form }: Exchange): AsyncGenerator<string> {
  const last = new Map<number, AnswerPiece>();
  const head = { ...form.head, object: form.chunkObject };
  const usage = asked.includesUsage ? { usage: null } : {};
  try {
    for await (const piece of asyncValues(answers)) {
      const isFirst = !last.has(piece.index);
      last.set(piece.index, piece);
      // A part that shows nothing yet says nothing.
      if (!isFirst && piece.text === '' && piece.finish === null) continue;
      yield event({ ...head, system_fingerprint: fingerprint(piece), choices: [form.chunk(piece, isFirst)], ...usage });
    }
    if (asked.includesUsage) yield event({ ...head, choices: [], usage: usageOf(asked, prompts, last.values()) });
    yield 'data: [DONE]\n\n';
  } catch (error) {
    // The status has been sent long ago; clients look for an error in the events.
    yield event(errorAnswer(error).body);
  }
}

function event(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
