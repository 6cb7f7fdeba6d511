import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ErrorCode } from '../../operators/errors.ts';
import { MillraceError } from '../../operators/errors.ts';
import type { Json } from '../../operators/types.ts';
import { ApiError, errorAnswer } from './api-error.ts';

/** Who asks for something, and which graph they have seen. */
export interface GraphRequest {
  /** Version that the job must still have; null for any. */
  readonly expectedVersion: number | null;
  /** Such as `http 127.0.0.1`. */
  readonly by: string;
}

/** What a job lets be done with its graphs. Rejects with errors of Millrace, whose messages are for who asks. */
export interface GraphsApi {
  /** JSON Schema of graphs. */
  readonly schema: object;
  /** The graphs that the job has had, oldest first, without what they say. */
  list(): Promise<{ readonly current: number; readonly graphs: readonly Json[] }>;
  /** One of them with all that it says, the present one where no version is named. */
  one(version: number | null): Promise<{ readonly version: number; readonly graph: Json }>;
  /** What would become of the job under a graph, given as YAML or JSON. */
  plan(graph: string, discard: readonly string[]): Promise<Json>;
  /** Resolves when the graph is live. */
  deploy(graph: string, discard: readonly string[], request: GraphRequest): Promise<Json>;
  /** To a version that the job has had; null for the one before. */
  rollback(version: number | null, discard: readonly string[], request: GraphRequest): Promise<Json>;
}

/** No forms and no bare text: those a web page may send to this machine without being asked whether it may. */
const GRAPH_TYPES = ['application/json', 'application/yaml', 'application/x-yaml', 'text/yaml'];
const LOCAL_NAMES: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);

const STATUS: Partial<Readonly<Record<ErrorCode, number>>> = {
  'bad-usage': 404,
  'config-invalid': 400,
  'graph-invalid': 400,
  'job-busy': 409,
  'plan-refused': 409,
  'version-changed': 412,
};

const many = z.union([z.string(), z.array(z.string())]).default([]);
const querySchema = z.strictObject({
  discard: many.transform((uids) => [uids].flat()),
  expectedVersion: z.coerce.number().int().positive().optional(),
});
const rollbackSchema = z.strictObject({
  version: z.int().positive().nullable().default(null),
  discard: z.array(z.string()).default([]),
  expectedVersion: z.int().positive().optional(),
});

/**
 * `/graphs`: the graphs of the job, to be read, planned, deployed and rolled back. Whoever changes one says which version
 * they have seen (`If-Match`, or `expectedVersion`), and is refused with 412 where somebody else was quicker.
 */
export function addGraphs(api: FastifyInstance, graphs: GraphsApi): void {
  api.setErrorHandler((error, _request, reply) => {
    const { status, body } = graphErrorAnswer(error);
    return reply.code(status).send(body);
  });
  api.removeContentTypeParser(['application/json', 'text/plain']);
  api.addContentTypeParser(GRAPH_TYPES, { parseAs: 'string' }, (_request, body, done) => done(null, body));

  api.get('/graphs', () => graphs.list());
  api.get('/graphs/schema', (_request, reply) => reply.type('application/schema+json').send(graphs.schema));
  api.get<{ Params: { readonly version: string } }>('/graphs/:version', async ({ params }, reply) => {
    const one = await graphs.one(params.version === 'current' ? null : wholeNumber(params.version));
    return reply.header('etag', `"${one.version}"`).send(one);
  });
  api.post('/graphs/plan', ({ query, body }) => graphs.plan(textOf(body), parsed(querySchema, query).discard));
  api.put('/graphs/current', async (request, reply) => {
    const { discard, expectedVersion } = parsed(querySchema, request.query);
    const done = await graphs.deploy(textOf(request.body), discard, about(request, expectedVersion));
    return answer(reply, done);
  });
  api.post('/graphs/rollback', async (request, reply) => {
    const text = typeof request.body === 'string' && request.body.trim() !== '' ? request.body : '{}';
    const { version, discard, expectedVersion } = parsed(rollbackSchema, jsonOf(text));
    return answer(reply, await graphs.rollback(version, discard, about(request, expectedVersion)));
  });
}

/**
 * Where no token is asked for, only who names this machine as such is let through: a page in a browser can be made to
 * believe that its own name is this machine's, but not to say so otherwise.
 */
export async function requireLocalName({ headers }: FastifyRequest): Promise<void> {
  const name = (headers.host ?? '').replace(/:\d+$/, '');
  if (LOCAL_NAMES.has(name)) return;
  throw new ApiError(403, 'Without a token, graphs are for this machine only: ask 127.0.0.1, ::1 or localhost.');
}

function answer(reply: FastifyReply, done: Json): FastifyReply {
  const version = z.looseObject({ version: z.number() }).safeParse(done).data?.version;
  return (version === undefined ? reply : reply.header('etag', `"${version}"`)).send(done);
}

function about({ headers, ip }: FastifyRequest, expectedVersion: number | undefined): GraphRequest {
  const by = `http ${ip}`;
  const match = headers['if-match'];
  if (match?.trim() === '*') return { by, expectedVersion: null };
  const seen = match === undefined ? expectedVersion : wholeNumber(match.trim().replaceAll('"', ''));
  if (seen !== undefined) return { by, expectedVersion: seen };
  throw new ApiError(
    428,
    'Say which version of the graph you have seen, as GET /graphs/current tells it: If-Match: "3", or expectedVersion. ' +
      'If-Match: * takes whichever is there.',
    { code: 'version-needed' },
  );
}

function textOf(body: unknown): string {
  if (typeof body === 'string' && body.trim() !== '') return body;
  throw new ApiError(400, 'Send a graph, as application/yaml or application/json.');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(400, 'The body is not JSON.');
  }
}

function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ApiError(400, `A version is a whole number, which "${text}" is not.`);
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const { data, error } = schema.safeParse(value);
  if (data !== undefined) return data;
  const [issue] = error?.issues ?? [];
  throw new ApiError(400, issue?.message ?? 'That can not be asked for.', { param: issue?.path.join('.') ?? '' });
}

/** Whoever may change the graph may know what keeps it from being changed. */
function graphErrorAnswer(error: unknown): ReturnType<typeof errorAnswer> {
  if (error instanceof Error && 'statusCode' in error && error.statusCode === 415) {
    return errorAnswer(
      new ApiError(415, `Say what the body is: content-type ${GRAPH_TYPES.slice(0, 2).join(' or ')}.`),
    );
  }
  if (!(error instanceof MillraceError)) return errorAnswer(error);
  return errorAnswer(new ApiError(STATUS[error.code] ?? 500, error.message.trim(), { code: error.code }));
}
