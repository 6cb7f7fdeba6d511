import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

/** An endpoint that gives unsigned tokens for client credentials. */
export class TokenServer {
  readonly secret: string;
  /** Tokens that it gave. */
  readonly given: string[] = [];
  /** Bodies of the requests. */
  readonly asked: string[] = [];
  lifeSeconds = 3600;
  /** So many requests are answered with 503 from now on. */
  faults = 0;
  readonly #server: Server = createServer((request, response) => void this.#serve(request, response));

  constructor(secret: string) {
    this.secret = secret;
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/token`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    this.asked.push(Buffer.concat(chunks).toString());
    const wanted = `Basic ${Buffer.from(`millrace:${this.secret}`).toString('base64')}`;
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    };
    if (this.faults > 0) {
      this.faults -= 1;
      return answer(503, { error: 'temporarily_unavailable' });
    }
    if (request.headers.authorization !== wanted) {
      return answer(401, { error: 'invalid_client', error_description: 'Who are you?' });
    }
    const token = this.#token();
    this.given.push(token);
    return answer(200, { access_token: token, token_type: 'Bearer', expires_in: this.lifeSeconds });
  }

  #token(): string {
    const nowSeconds = Date.now() / 1000;
    const claims = { sub: 'millrace', iat: nowSeconds, exp: nowSeconds + this.lifeSeconds, n: this.given.length };
    return `${encoded({ alg: 'none' })}.${encoded(claims)}.`;
  }
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
