import { fromWire, toWire } from './wire-error.ts';
import type { WireError } from './wire-error.ts';

/** What a process can be asked for, by name. Inputs and outputs are what the structured clone can copy. */
export type Methods = Readonly<Record<string, (input: never) => unknown>>;

export type Input<M extends Methods, K extends keyof M> = Parameters<M[K]>[0];
export type Output<M extends Methods, K extends keyof M> = Awaited<ReturnType<M[K]>>;

/**
 * Messages as they are sent; `unknown` is what their sender need not know. The receiver's types are the same with what
 * both ends have agreed upon by sharing `M` and the type of events.
 */
export interface Request<Input = unknown> {
  readonly id: number;
  readonly method: string;
  readonly input: Input;
}

export type Answer<Event = unknown, Output = unknown> =
  | { readonly kind: 'output'; readonly id: number; readonly output: Output }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'event'; readonly event: Event };

interface Pending {
  readonly resolve: (output: never) => void;
  readonly reject: (error: Error) => void;
}

/** The asking end: matches answers to calls. */
export class RpcClient<M extends Methods, E> {
  readonly #send: (request: Request) => void;
  readonly #onEvent: (event: E) => void;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #failure: Error | null = null;

  constructor(send: (request: Request) => void, onEvent: (event: E) => void) {
    this.#send = send;
    this.#onEvent = onEvent;
  }

  /** Calls reach the other end in the order in which they were made; any number may be under way. */
  call<K extends keyof M & string>(method: K, input: Input<M, K>): Promise<Output<M, K>> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#send({ id, method, input });
    });
  }

  receive(answer: Answer<E, never>): void {
    if (answer.kind === 'event') {
      this.#onEvent(answer.event);
      return;
    }
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (answer.kind === 'output') pending?.resolve(answer.output);
    else pending?.reject(fromWire(answer.error));
  }

  /** Rejects every call, those under way and those to come. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }
}

/**
 * The answering end: starts each method when its request comes, so that methods which do not wait are carried out in the
 * order of the calls, and answers when it is done.
 */
export async function answer(
  methods: Methods,
  { id, method, input }: Request<never>,
  send: (answer: Answer) => void,
): Promise<void> {
  try {
    const run = methods[method];
    if (!run) throw new Error(`There is no method "${method}".`);
    send({ kind: 'output', id, output: await run(input) });
  } catch (error) {
    send({ kind: 'error', id, error: toWire(error) });
  }
}
