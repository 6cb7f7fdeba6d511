import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';
import { requestJson } from '../request-json.ts';
import type { JsonOutcome } from '../request-json.ts';

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

  #request(path: string, body?: string): Promise<JsonOutcome> {
    const url = `${this.#base}${path}`;
    if (body === undefined) return requestJson(url, { method: 'GET', headers: this.#headers });
    return requestJson(url, { method: 'POST', headers: { ...this.#headers, 'Content-Type': CONTENT_TYPE }, body });
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
      `The schema registry at ${this.#base} can't be reached: ${reason}. Check the URL and that it runs; nothing is lost: ` +
        'start again.',
      { cause },
    );
  }
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
