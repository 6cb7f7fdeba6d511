import { request as httpRequest } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { openHttpServer } from '../../infra/http/index.ts';
import type { GraphRequest, GraphsApi, HttpOptions, HttpServer } from '../../infra/http/index.ts';
import { MillraceError } from '../../operators/index.ts';
import { byteTokenizer } from '../support/byte-tokenizer.ts';
import { fakeSampler } from '../support/fakes.ts';

/*
 * `/graphs` over graphs that only note what they are asked for.
 */

const YAML = { 'content-type': 'application/yaml' };
const JSON_TYPE = { 'content-type': 'application/json' };
const SEEN_3 = { 'if-match': '"3"' };

class Graphs implements GraphsApi {
  readonly schema = { title: 'graph' };
  readonly asked: unknown[] = [];
  failure: Error | null = null;

  list(): ReturnType<GraphsApi['list']> {
    return Promise.resolve({ current: 3, graphs: [{ version: 3 }] });
  }

  async one(version: number | null): ReturnType<GraphsApi['one']> {
    if (version === null || version === 3) return { version: 3, graph: { name: 'mine' } };
    throw new MillraceError('bad-usage', `There is no version ${version}.`);
  }

  plan(graph: string, discard: readonly string[]): ReturnType<GraphsApi['plan']> {
    return this.#note('plan', graph, discard);
  }

  deploy(graph: string, discard: readonly string[], request: GraphRequest): ReturnType<GraphsApi['deploy']> {
    return this.#note('deploy', graph, discard, request);
  }

  rollback(
    version: number | null,
    discard: readonly string[],
    request: GraphRequest,
  ): ReturnType<GraphsApi['rollback']> {
    return this.#note('rollback', version, discard, request);
  }

  async #note(...asked: readonly unknown[]): Promise<{ version: number }> {
    if (this.failure) throw this.failure;
    this.asked.push(asked);
    return { version: 4 };
  }
}

let server: HttpServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function serve(graphs: GraphsApi, options: Partial<HttpOptions> = {}): Promise<string> {
  server = await openHttpServer({
    host: '127.0.0.1',
    port: 0,
    sampler: fakeSampler(),
    tokenizer: byteTokenizer,
    model: { id: 'sotu', maxContext: 64, createdAtMs: 0, isReady: () => true },
    logger: { info: () => undefined, warn: () => undefined },
    graphs,
    ...options,
  });
  return server.url;
}

test('graphs are read, planned, deployed and rolled back, as YAML or JSON', async () => {
  const graphs = new Graphs();
  const url = await serve(graphs);
  expect(await json(`${url}/graphs`)).toEqual({ current: 3, graphs: [{ version: 3 }] });
  expect(await json(`${url}/graphs/schema`)).toEqual({ title: 'graph' });
  const current = await fetch(`${url}/graphs/current`);
  expect([current.headers.get('etag'), await current.json()]).toEqual(['"3"', { version: 3, graph: { name: 'mine' } }]);
  const planned = await send(`${url}/graphs/plan?discard=pack&discard=text`, 'POST', 'name: a\n', YAML);
  expect(planned.status).toBe(200);
  const deployed = await send(`${url}/graphs/current`, 'PUT', '{"name":"b"}', { ...JSON_TYPE, ...SEEN_3 });
  expect([deployed.status, deployed.headers.get('etag'), await deployed.json()]).toEqual([200, '"4"', { version: 4 }]);
  await send(`${url}/graphs/current?expectedVersion=4&discard=pack`, 'PUT', 'name: c', YAML);
  await send(`${url}/graphs/current`, 'PUT', 'name: d', { ...YAML, 'if-match': '*' });
  await send(`${url}/graphs/rollback`, 'POST', '{"version":2,"expectedVersion":4}', JSON_TYPE);
  await send(`${url}/graphs/rollback`, 'POST', undefined, SEEN_3);
  const by = 'http 127.0.0.1';
  expect(graphs.asked).toEqual([
    ['plan', 'name: a\n', ['pack', 'text']],
    ['deploy', '{"name":"b"}', [], { by, expectedVersion: 3 }],
    ['deploy', 'name: c', ['pack'], { by, expectedVersion: 4 }],
    ['deploy', 'name: d', [], { by, expectedVersion: null }],
    ['rollback', 2, [], { by, expectedVersion: 4 }],
    ['rollback', null, [], { by, expectedVersion: 3 }],
  ]);
});

test.each([
  ['version-changed', 412],
  ['plan-refused', 409],
  ['job-busy', 409],
  ['graph-invalid', 400],
  ['checkpoint-write-failed', 500],
] as const)('what keeps a graph from being deployed is told as %s, with status %i', async (code, status) => {
  const graphs = new Graphs();
  graphs.failure = new MillraceError(code, 'Because of that.');
  const answer = await send(`${await serve(graphs)}/graphs/current`, 'PUT', 'name: a', { ...YAML, ...SEEN_3 });
  expect(answer.status).toBe(status);
  expect(await answer.json()).toMatchObject({ error: { code, message: 'Because of that.', param: null } });
});

test('nothing is changed for who does not say which version they have seen, or sends what is no graph', async () => {
  const graphs = new Graphs();
  const url = await serve(graphs);
  const refusals = [
    [await send(`${url}/graphs/current`, 'PUT', 'name: a', YAML), 428],
    [await send(`${url}/graphs/rollback`, 'POST', undefined, {}), 428],
    [await send(`${url}/graphs/current`, 'PUT', 'name: a', { ...YAML, 'if-match': 'W/"x"' }), 400],
    [await send(`${url}/graphs/current`, 'PUT', ' ', { ...YAML, ...SEEN_3 }), 400],
    [await send(`${url}/graphs/current?force=1`, 'PUT', 'name: a', { ...YAML, ...SEEN_3 }), 400],
    [await send(`${url}/graphs/rollback`, 'POST', '{"to":2}', { ...JSON_TYPE, ...SEEN_3 }), 400],
    // What a web page may send without being asked whether it may.
    [await send(`${url}/graphs/plan`, 'POST', 'name: a', { 'content-type': 'text/plain' }), 415],
    [await send(`${url}/graphs/plan`, 'POST', 'name=a', { 'content-type': 'application/x-www-form-urlencoded' }), 415],
    [await fetch(`${url}/graphs/9`), 404],
    [await fetch(`${url}/graphs/first`), 400],
  ] as const;
  expect(refusals.map(([{ status }]) => status)).toEqual(refusals.map(([, status]) => status));
  expect(graphs.asked).toEqual([]);
});

test('graphs have a right of their own: that of this machine, the token, or a token that is another', async () => {
  const graphs = new Graphs();
  const open = await serve(graphs);
  expect(await statusFor(open, 'rebound.example:80')).toBe(403);
  expect(await statusFor(open, 'localhost:80')).toBe(200);
  await server?.close();
  const closed = await serve(graphs, { token: 'asks' });
  expect((await fetch(`${closed}/graphs`)).status).toBe(401);
  expect((await fetch(`${closed}/graphs`, bearer('asks'))).status).toBe(200);
  await server?.close();
  const apart = await serve(graphs, { token: 'asks', graphsToken: 'deploys' });
  expect((await fetch(`${apart}/graphs`, bearer('asks'))).status).toBe(401);
  expect((await fetch(`${apart}/graphs`, bearer('deploys'))).status).toBe(200);
  expect((await fetch(`${apart}/v1/models`, bearer('deploys'))).status).toBe(401);
});

async function json(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}

function send(
  url: string,
  method: string,
  body: string | undefined,
  headers: Record<string, string>,
): Promise<Response> {
  return fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
}

/** Fetch would not let the host be another. */
function statusFor(url: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    httpRequest(`${url}/graphs`, { headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

function bearer(token: string): RequestInit {
  return { headers: { authorization: `Bearer ${token}` } };
}
