import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';

export interface SchemaRegistryOptions {
  /** Such as `https://registry.example.org:8081`. */
  readonly url: string;
  readonly auth?: { readonly username: string; readonly password: string } | { readonly token: string };
  /** False where schemas are registered by somebody else: ours are then only looked up. */
  readonly register?: boolean;
  /** How long a request is tried again while the registry does not answer; 30 s by default. */
  readonly patienceMs?: number;
}

export interface RegisteredSchema {
  readonly schema: string;
  readonly schemaType: string;
  readonly references: readonly { readonly subject: string; readonly version: number }[];
}

const schemaAnswer = z.object({
  schema: z.string(),
  schemaType: z.string().default('AVRO'),
  references: z.array(z.object({ subject: z.string(), version: z.int() })).default([]),
});
const idAnswer = z.object({ id: z.int().nonnegative() });
const errorAnswer = z.object({ error_code: z.int().optional(), message: z.string().optional() });

const PATIENCE_MS = 30_000;
const TIMEOUT_MS = 5000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 2000;
const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json';
const MESSAGE_CHARACTERS = 200;

/**
 * A client of Confluent's schema registry, over its REST API. Nothing is cached here.
 *
 * Errors: `schema-unknown` for what it does not have; `registry-refused` for credentials that it does not take and for
 * schemas that are not compatible with earlier ones; `registry-unreachable` once it has not answered, or only with faults
 * of its own, for `patienceMs`. No error holds credentials.
 */
export class SchemaRegistry {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #register: boolean;
  readonly #patienceMs: number;

  constructor({ url, auth, register = true, patienceMs = PATIENCE_MS }: SchemaRegistryOptions) {
    this.#base = url.replace(/\/+$/, '');
    const authorization = auth && ('token' in auth ? `Bearer ${auth.token}` : basic(auth.username, auth.password));
    this.#headers = { Accept: CONTENT_TYPE, ...(authorization ? { Authorization: authorization } : {}) };
    this.#register = register;
    this.#patienceMs = patienceMs;
  }

  /** The schema with this id, which never changes. */
  async schema(id: number): Promise<RegisteredSchema> {
    return this.#ask(`/schemas/ids/${id}`, schemaAnswer, { what: `schema ${id}` });
  }

  async version(subject: string, version: number): Promise<RegisteredSchema> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`;
    return this.#ask(path, schemaAnswer, { what: `version ${version} of ${subject}` });
  }

  /** The id of a schema under a subject, where it is registered now unless that is somebody else's to do. */
  async idOf(subject: string, schema: string): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}${this.#register ? '/versions' : ''}`;
    const what = `the schema of ${subject}`;
    return (await this.#ask(path, idAnswer, { what, body: JSON.stringify({ schema }) })).id;
  }

  async #ask<T>(path: string, answer: z.ZodType<T>, { what, body }: { what: string; body?: string }): Promise<T> {
    const deadlineMs = performance.now() + this.#patienceMs;
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, MAX_DELAY_MS)) {
      const outcome = await this.#request(path, body);
      if (outcome.kind === 'answer') {
        const { status, json } = outcome;
        if (status < 300) return this.#parse(answer, json, what);
        throw this.#refusal(status, json, what);
      }
      if (performance.now() + delayMs > deadlineMs) throw this.#unreachable(outcome.reason, outcome.cause);
      await sleep(delayMs);
    }
  }

  async #request(path: string, body?: string): Promise<Outcome> {
    try {
      const response = await fetch(`${this.#base}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...this.#headers, ...(body === undefined ? {} : { 'Content-Type': CONTENT_TYPE }) },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      const { status } = response;
      if (status >= 500 || status === 429 || status === 408) return { kind: 'away', reason: `it answers ${status}.` };
      return { kind: 'answer', status, json: parsed(text) };
    } catch (cause) {
      return { kind: 'away', reason: reasonOf(cause), cause };
    }
  }

  #parse<T>(answer: z.ZodType<T>, json: unknown, what: string): T {
    const result = answer.safeParse(json);
    if (result.success) return result.data;
    throw new MillraceError(
      'registry-refused',
      `What answers at ${this.#base} is no schema registry: its answer to the question for ${what} is none. Check the URL.`,
      { cause: result.error },
    );
  }

  #refusal(status: number, json: unknown, what: string): MillraceError {
    const { message = `it answers ${status}`, error_code: code } = errorAnswer.safeParse(json).data ?? {};
    const reason = message.slice(0, MESSAGE_CHARACTERS);
    // Without its code, 404 may as well mean that the URL leads elsewhere.
    if (status === 404 && code !== undefined && code !== 404) {
      return new MillraceError(
        'schema-unknown',
        `The schema registry at ${this.#base} does not have ${what}: ${reason}`,
      );
    }
    const advice =
      status === 401 || status === 403
        ? 'Check the credentials of schemaRegistry (MILLRACE_REGISTRY_USERNAME and _PASSWORD, or _TOKEN).'
        : 'Check the URL and the schema.';
    return new MillraceError(
      'registry-refused',
      `The schema registry at ${this.#base} refuses ${what} (${status}): ${reason}. ${advice}`,
    );
  }

  #unreachable(reason: string, cause: unknown): MillraceError {
    return new MillraceError(
      'registry-unreachable',
      `The schema registry at ${this.#base} can't be reached: ${reason} Check the URL and that it runs; nothing is lost: ` +
        'start again.',
      { cause },
    );
  }
}

type Outcome =
  | { readonly kind: 'answer'; readonly status: number; readonly json: unknown }
  | { readonly kind: 'away'; readonly reason: string; readonly cause?: unknown };

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What fetch says is "fetch failed"; why, is in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `it has not answered for ${TIMEOUT_MS / 1000} s.`;
  return `${error.cause instanceof Error ? error.cause.message || error.cause.name : error.message}.`;
}
