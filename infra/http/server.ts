import rateLimit from '@fastify/rate-limit';
import { fastify } from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MillraceError } from '../../operators/errors.ts';
import type { Logger } from '../../operators/ports.ts';
import { addTokenizing } from './add-tokenizing.ts';
import { Answering } from './answering.ts';
import type { AnsweringOptions } from './answering.ts';
import { errorAnswer } from './api-error.ts';
import { exchangeOver, hangUpOnStalled, Places } from './exchange.ts';
import { checkReach } from './reach.ts';
import { addGraphs, requireLocalName } from './graphs-api.ts';
import type { GraphsApi } from './graphs-api.ts';
import { withTimeout } from './request-timeout.ts';
import { requireToken } from './require-token.ts';
import { chatTemplate, plainTemplate } from './chat-template.ts';
import { parseChat, parseCompletion } from './openai-requests.ts';
import { respond } from './respond.ts';
import type { Exchange } from './respond.ts';
import { chatForm, completionForm } from './responses.ts';

export interface HttpOptions extends AnsweringOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Whoever asks must bring it, where there is one. */
  readonly token?: string | undefined;
  /** The job's graphs, where they are to be had here. */
  readonly graphs?: GraphsApi | undefined;
  /** Who asks for graphs must bring this one instead, where there is one: to change them is more than to ask the model. */
  readonly graphsToken?: string | undefined;
  /** A Jinja template as Hugging Face's tokenizers have it; conversations are written as scripts when absent. */
  readonly chatTemplate?: string | undefined;
  readonly limits?: Partial<HttpLimits>;
  readonly logger: Logger;
}

export interface HttpLimits {
  readonly bodyBytes: number;
  /** Of one address. */
  readonly requestsPerMinute: number;
  /** Answers under way at once; whoever asks for more is told to come back. */
  readonly answers: number;
  /** A client that takes nothing of what waits for it for so long is hung up on. */
  readonly stalledMs: number;
}

export interface HttpServer {
  /** Where it listens, for instance `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Ends the answers under way. */
  close(): Promise<void>;
}

const usual: HttpLimits = { bodyBytes: 1024 * 1024, requestsPerMinute: 60_000, answers: 64, stalledMs: 60_000 };

/**
 * Serves the model over HTTP as OpenAI's API does: `/v1/models`, `/v1/completions`, `/v1/chat/completions`; its tokenizer as
 * vLLM does; the job's graphs under `/graphs`; and `/healthz` and `/readyz` for whoever watches over it. No CORS.
 *
 * Rejects with `bad-usage` where others could reach it without a token, or where it can't listen.
 */
export async function openHttpServer(options: HttpOptions): Promise<HttpServer> {
  const { host, port, token, logger } = options;
  checkReach(options);
  const limits = { ...usual, ...options.limits };
  const server = fastify({ bodyLimit: limits.bodyBytes, forceCloseConnections: true });
  server.setErrorHandler((error, _request, reply) => {
    const { status, body } = errorAnswer(error);
    if (status >= 500) logger.warn(`A request over HTTP failed: ${String(error)}`);
    return reply.code(status).send(body);
  });
  server.setNotFoundHandler((request, reply) => {
    const message = `There is no ${request.method} ${request.url} here.`;
    return reply.code(404).send({ error: { message, type: 'invalid_request_error', param: null, code: null } });
  });
  server.get('/healthz', () => ({ status: 'ok' }));
  server.get('/readyz', (_request, reply) => {
    const isReady = options.model.isReady();
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'no weights yet' });
  });
  await server.register(rateLimit, { max: limits.requestsPerMinute, timeWindow: '1 minute', global: false });
  await server.register(async (api) => {
    api.addHook('onRequest', api.rateLimit());
    if (token) api.addHook('onRequest', requireToken(token));
    addModels(api, options);
    addTokenizing(api, options);
    addAnswers(api, options, limits);
  });
  const { graphs, graphsToken = token } = options;
  if (graphs) {
    await server.register(async (api) => {
      api.addHook('onRequest', api.rateLimit());
      api.addHook('onRequest', graphsToken ? requireToken(graphsToken) : requireLocalName);
      addGraphs(api, graphs);
    });
  }
  try {
    return { url: await server.listen({ host, port }), close: () => server.close() };
  } catch (error) {
    await server.close();
    throw new MillraceError('bad-usage', `Can't listen on ${host}:${port}: ${String(error)}`, { cause: error });
  }
}

function addModels(api: FastifyInstance, { model }: HttpOptions): void {
  const shown = {
    id: model.id,
    object: 'model',
    created: Math.floor(model.createdAtMs / 1000),
    owned_by: 'millrace',
    max_model_len: model.maxContext,
  };
  api.get('/v1/models', () => ({ object: 'list', data: [shown] }));
  api.get<{ Params: { readonly id: string } }>('/v1/models/:id', ({ params }, reply) => {
    if (params.id === model.id) return shown;
    const message = `There is no model "${params.id}" here, but "${model.id}".`;
    return reply
      .code(404)
      .send({ error: { message, type: 'invalid_request_error', param: 'model', code: 'model_not_found' } });
  });
}

function addAnswers(api: FastifyInstance, options: HttpOptions, limits: HttpLimits): void {
  const answering = new Answering(options);
  const places = new Places(limits.answers);
  const answer = (
    request: FastifyRequest,
    reply: FastifyReply,
    exchange: Omit<Exchange, 'over'>,
  ): Promise<FastifyReply> => {
    const over = exchangeOver(request, reply);
    places.take(exchange.prompts.length * exchange.asked.n, over);
    hangUpOnStalled(reply, limits.stalledMs);
    return respond(reply, { ...exchange, over });
  };
  const toText = chatTemplate(options.chatTemplate ?? plainTemplate);
  api.post('/v1/completions', async (request, reply) => {
    const asked = withTimeout(parseCompletion(request.body), request.headers);
    answering.requireModel(asked.model);
    const prompts = await Promise.all(asked.prompts.map((prompt) => answering.toPrompt(prompt)));
    const answers = answering.answers(asked, prompts, asked.isEcho);
    const form = completionForm(asked, prompts, options.tokenizer);
    return answer(request, reply, { asked, prompts, answers, form });
  });
  api.post('/v1/chat/completions', async (request, reply) => {
    const asked = withTimeout(parseChat(request.body), request.headers);
    answering.requireModel(asked.model);
    const prompts = [await answering.toPrompt(toText(asked.messages))];
    const answers = answering.answers(asked, prompts, false);
    return answer(request, reply, { asked, prompts, answers, form: chatForm(asked, options.tokenizer) });
  });
}
