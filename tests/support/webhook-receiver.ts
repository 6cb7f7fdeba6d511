import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';

export interface Received {
  readonly id: string;
  readonly body: string;
  /** Whether the signature is that of the secret over id, time and body. */
  readonly isSigned: boolean;
}

/** Somebody who is told of things over HTTP: answers with the statuses that it is given, then with 204. */
export class WebhookReceiver {
  readonly received: Received[] = [];
  readonly #server = createServer();
  readonly #secret: string;
  readonly #statuses: number[];

  /** A status of 0 breaks the connection off. */
  static async open(secret: string, statuses: readonly number[] = []): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(secret, statuses);
    await new Promise<void>((done) => receiver.#server.listen(0, '127.0.0.1', done));
    return receiver;
  }

  private constructor(secret: string, statuses: readonly number[]) {
    this.#secret = secret;
    this.#statuses = [...statuses];
    this.#server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString();
        const { headers } = request;
        const [id, time] = [String(headers['webhook-id']), String(headers['webhook-timestamp'])];
        const expected = createHmac('sha256', this.#secret).update(`${id}.${time}.${body}`).digest('base64');
        this.received.push({ id, body, isSigned: headers['webhook-signature'] === `v1,${expected}` });
        const status = this.#statuses.shift() ?? 204;
        if (status === 0) response.destroy();
        else response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end();
      });
    });
  }

  get url(): string {
    const address = this.#server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    return `http://127.0.0.1:${port}/hook`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((done) => this.#server.close(() => done()));
  }
}
