import { fetchFailure } from './fetch-failure.ts';

/** What came of a request: an answer, or nobody who could give one now. */
export type JsonOutcome =
  | { readonly kind: 'answer'; readonly status: number; readonly json: unknown }
  | { readonly kind: 'away'; readonly reason: string; readonly cause?: unknown };

export interface JsonRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | URLSearchParams;
}

const TIMEOUT_MS = 5000;

/**
 * Asks over HTTP once, for 5 s at most. Faults of the other side (5xx) and its wish to be left alone for now (408, 429) count
 * as nobody being there; what is no JSON is null. Never rejects. A reason is the end of a sentence, without its full stop.
 */
export async function requestJson(url: string, { method, headers, body }: JsonRequest): Promise<JsonOutcome> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, { method, headers, signal, ...(body === undefined ? {} : { body }) });
    const text = await response.text();
    const { status } = response;
    if (status >= 500 || status === 429 || status === 408) return { kind: 'away', reason: `it answers ${status}` };
    return { kind: 'answer', status, json: parsed(text) };
  } catch (cause) {
    return { kind: 'away', reason: fetchFailure(cause, TIMEOUT_MS), cause };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
