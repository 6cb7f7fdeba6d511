import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchFailure } from './fetch-failure.ts';

/** Somebody who is told of things by HTTP. */
export interface Webhook {
  readonly url: string;
  /** `whsec_` and a key in base64, or any text. */
  readonly secret: string;
  readonly attempts: number;
  /** Wait after the first failure; it doubles with each, up to a minute. */
  readonly backoffMs: number;
}

export interface WebhookMessage {
  /** The same whenever it is tried again, so that who gets it twice can tell. */
  readonly id: string;
  /** JSON. */
  readonly body: string;
}

export type Delivery =
  | { readonly outcome: 'delivered' | 'aborted' }
  /** The reason is the end of a sentence, without its full stop. */
  | { readonly outcome: 'failed'; readonly attempts: number; readonly reason: string };

const TIMEOUT_MS = 10_000;
const MOST_WAIT_MS = 60_000;
/** Refusals that may pass: it was too slow, too early or too much. Others do not, so nothing is tried again. */
const PASSING = new Set([408, 425, 429]);

/**
 * Posts a message, signed as https://www.standardwebhooks.com has it: HMAC-SHA256 over id, time and body in the header
 * `webhook-signature`. Tries again where nobody answers within 10 s, on a fault of the other side (5xx), and where it asks for
 * a later time. At least once: one that was taken may come again when its answer is lost. Redirections are not followed. Never
 * rejects.
 */
export async function deliver(webhook: Webhook, message: WebhookMessage, signal: AbortSignal): Promise<Delivery> {
  const { attempts, backoffMs } = webhook;
  for (let attempt = 1; ; attempt += 1) {
    const tried = await post(webhook, message, signal);
    if (signal.aborted) return { outcome: 'aborted' };
    if (tried === null) return { outcome: 'delivered' };
    const { reason, isFinal, waitMs } = tried;
    if (isFinal || attempt >= attempts) return { outcome: 'failed', attempts: attempt, reason };
    const pauseMs = Math.min(MOST_WAIT_MS, Math.max(waitMs, backoffMs * 2 ** (attempt - 1)));
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return { outcome: 'aborted' };
  }
}

interface Refusal {
  readonly reason: string;
  readonly isFinal: boolean;
  /** As the other side asks. */
  readonly waitMs: number;
}

/** Null where it was taken. */
async function post({ url, secret }: Webhook, message: WebhookMessage, signal: AbortSignal): Promise<Refusal | null> {
  const { id, body } = message;
  const timestamp = Math.floor(Date.now() / 1000);
  try {
    const { ok, status, headers } = await answerOf(
      fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': signatureOf(secret, `${id}.${timestamp}.${body}`),
        },
        body,
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      }),
    );
    if (ok) return null;
    const waitMs = Number(headers.get('retry-after') ?? 0) * 1000 || 0;
    return { reason: `it answers ${status}`, isFinal: status < 500 && !PASSING.has(status), waitMs };
  } catch (error) {
    return { reason: fetchFailure(error, TIMEOUT_MS), isFinal: false, waitMs: 0 };
  }
}

/** What it says beside the status is of no interest, and may be long. */
async function answerOf(request: Promise<Response>): Promise<Response> {
  const response = await request;
  await response.body?.cancel();
  return response;
}

function signatureOf(secret: string, signed: string): string {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : secret;
  return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
}
