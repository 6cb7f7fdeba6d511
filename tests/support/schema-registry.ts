import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { z } from 'zod';

export interface RegisteredVersion {
  readonly id: number;
  readonly subject: string;
  readonly version: number;
  readonly schema: string;
  readonly schemaType?: string;
  readonly references?: readonly { readonly name: string; readonly subject: string; readonly version: number }[];
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const bodySchema = z.object({ schema: z.string() });
const notFound = (code: number, message: string): Answer => ({ status: 404, body: { error_code: code, message } });

/** A schema registry that obeys Confluent's REST API as far as Millrace uses it, in memory, over HTTP. */
export class FakeSchemaRegistry {
  readonly versions: RegisteredVersion[] = [];
  /** What it was asked, as `GET /schemas/ids/1`, also what it did not answer. */
  readonly asked: string[] = [];
  /** So many requests are answered with 503 from now on. */
  faults = 0;
  /** Requests are never answered. */
  isSilent = false;
  /** The one value of the header Authorization that is let in. */
  authorization: string | null = null;
  /** Subjects that refuse another schema than the one they have. */
  isClosed = false;
  readonly #server: Server = createServer((request, response) => void this.#serve(request, response));

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  /** Registers a schema beforehand; returns its id. */
  add(subject: string, schema: unknown, more: Partial<RegisteredVersion> = {}): number {
    const version = this.versions.filter((each) => each.subject === subject).length + 1;
    const id = this.versions.length + 1;
    const json = typeof schema === 'string' ? schema : JSON.stringify(schema);
    this.versions.push({ id, subject, version, schema: json, ...more });
    return id;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    this.asked.push(`${method} ${url}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    if (this.isSilent) return;
    const { status, body } = this.#answer(method, url, headers, Buffer.concat(chunks).toString());
    response.writeHead(status, { 'Content-Type': 'application/vnd.schemaregistry.v1+json' });
    response.end(JSON.stringify(body));
  }

  #answer(method: string, url: string, headers: IncomingMessage['headers'], body: string): Answer {
    if (this.faults > 0) {
      this.faults -= 1;
      return { status: 503, body: { error_code: 50_301, message: 'Leader not known' } };
    }
    if (this.authorization !== null && headers.authorization !== this.authorization) {
      return { status: 401, body: { error_code: 401, message: 'Unauthorized' } };
    }
    const [, first, second = '', third, fourth] = url.split('/').map(decodeURIComponent);
    if (method === 'GET' && first === 'schemas' && second === 'ids') return this.#byId(Number(third));
    if (first !== 'subjects') return notFound(404, 'HTTP 404 Not Found');
    if (method === 'GET' && third === 'versions') return this.#byVersion(second, Number(fourth));
    if (method === 'POST' && headers['content-type'] !== 'application/vnd.schemaregistry.v1+json') {
      return { status: 415, body: { error_code: 415, message: 'HTTP 415 Unsupported Media Type' } };
    }
    const { schema } = bodySchema.parse(JSON.parse(body));
    return third === 'versions' ? this.#register(second, schema) : this.#find(second, schema);
  }

  #byId(id: number): Answer {
    const found = this.versions.find((each) => each.id === id);
    return found ? { status: 200, body: described(found) } : notFound(40_403, `Schema ${id} not found`);
  }

  #byVersion(subject: string, version: number): Answer {
    const found = this.versions.find((each) => each.subject === subject && each.version === version);
    return found
      ? { status: 200, body: { subject, version, id: found.id, ...described(found) } }
      : notFound(40_402, `Version ${version} not found.`);
  }

  #register(subject: string, schema: string): Answer {
    const known = this.versions.find((each) => each.subject === subject && each.schema === schema);
    if (known) return { status: 200, body: { id: known.id } };
    if (this.isClosed) {
      const message = `Schema being registered is incompatible with an earlier schema for subject "${subject}"`;
      return { status: 409, body: { error_code: 409, message } };
    }
    return { status: 200, body: { id: this.add(subject, schema) } };
  }

  #find(subject: string, schema: string): Answer {
    const versions = this.versions.filter((each) => each.subject === subject);
    if (versions.length === 0) return notFound(40_401, `Subject '${subject}' not found.`);
    const known = versions.find((each) => each.schema === schema);
    return known ? { status: 200, body: known } : notFound(40_403, 'Schema not found');
  }
}

/** Avro is not named as a type, as the real one has it. */
function described({ schema, schemaType, references }: RegisteredVersion): object {
  return { schema, ...(schemaType ? { schemaType } : {}), ...(references ? { references } : {}) };
}
