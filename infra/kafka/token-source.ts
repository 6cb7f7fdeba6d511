import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';
import { requestJson } from '../request-json.ts';
import type { JsonOutcome } from '../request-json.ts';

export interface ClientCredentials {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope?: string;
}

const answerSchema = z.object({ access_token: z.string().min(1), expires_in: z.number().positive().optional() });
const refusalSchema = z.object({ error: z.string(), error_description: z.string().optional() });

/**
 * A token is asked for anew when so little of its life is left, or half of it: brokers let connections live no longer than
 * their token, and kafkajs renews them a little before that.
 */
const SPARE_MS = 30_000;
const SPARE_SHARE = 0.5;
/** Where the endpoint does not say how long a token lives. */
const UNSAID_LIFE_MS = 60_000;
const REASON_CHARACTERS = 200;

/**
 * Tokens for client credentials (RFC 6749, section 4.4). One is used until shortly before it ends; who asks meanwhile for
 * the next shares the request.
 *
 * Errors: `broker-refused` when the endpoint refuses the credentials or its answer is none, `broker-unreachable` when it
 * does not answer. No error holds the secret or a token.
 */
export class TokenSource {
  readonly #credentials: ClientCredentials;
  #token: { readonly value: string; readonly untilMs: number } | null = null;
  #asking: Promise<string> | null = null;

  constructor(credentials: ClientCredentials) {
    this.#credentials = credentials;
  }

  async token(): Promise<string> {
    if (this.#token && performance.now() < this.#token.untilMs) return this.#token.value;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #ask(): Promise<string> {
    const { tokenUrl } = this.#credentials;
    const askedMs = performance.now();
    const outcome = await this.#request();
    if (outcome.kind === 'away') {
      throw new MillraceError(
        'broker-unreachable',
        `The token endpoint ${tokenUrl} can't be reached: ${outcome.reason}. Check the URL and that it runs.`,
        { cause: outcome.cause },
      );
    }
    const { status, json } = outcome;
    const answer = answerSchema.safeParse(json);
    if (status === 200 && answer.success) {
      const lifeMs = (answer.data.expires_in ?? UNSAID_LIFE_MS / 1000) * 1000;
      const untilMs = askedMs + lifeMs - Math.min(SPARE_MS, lifeMs * SPARE_SHARE);
      this.#token = { value: answer.data.access_token, untilMs };
      return answer.data.access_token;
    }
    const refusal = refusalSchema.safeParse(json);
    const reason = refusal.success
      ? [refusal.data.error, refusal.data.error_description].filter(Boolean).join(': ').slice(0, REASON_CHARACTERS)
      : 'its answer holds no token';
    throw new MillraceError(
      'broker-refused',
      `The token endpoint ${tokenUrl} gives no token (${status}): ${reason}. Check clientId and clientSecret of kafka.sasl ` +
        '(MILLRACE_KAFKA_OAUTH_CLIENT_ID, …_CLIENT_SECRET), and the URL.',
    );
  }

  #request(): Promise<JsonOutcome> {
    const { tokenUrl, clientId, clientSecret, scope } = this.#credentials;
    const body = new URLSearchParams({ grant_type: 'client_credentials', ...(scope ? { scope } : {}) });
    const account = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`);
    const headers = { Accept: 'application/json', Authorization: `Basic ${account.toString('base64')}` };
    return requestJson(tokenUrl, { method: 'POST', headers, body });
  }
}
