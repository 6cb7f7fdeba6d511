import { Observable, Subscription, defer } from 'rxjs';
import type { OperatorFunction, Subscriber } from 'rxjs';
import { z } from 'zod';
import type { Barrier, Element, Item, Restore, Uid } from './flow.ts';
import { listen } from './listen.ts';
import type { Listener } from './listen.ts';
import type { AnswerBook, Sampler } from './ports.ts';
import { readState } from './stateful.ts';
import type { TokenDelta, TokenizedPrompt } from './types.ts';
import { SPELLED_ANEW, defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

export interface GenerateOptions {
  readonly uid?: Uid;
  /** Prompts that are answered at once; the others wait. */
  readonly concurrency?: number;
  /** Tokens that end an answer. */
  readonly stopTokens: readonly number[];
  /** Prompts that have an answer there are passed over. Without, each is answered at least once. */
  readonly answers?: Pick<AnswerBook, 'begin'>;
}

const stateSchema = z.object({
  unfinished: z.array(
    z.object({
      id: z.string(),
      at: z.object({ topic: z.string(), partition: z.number().int(), offset: z.number().int() }),
      tokens: z.array(z.number().int()),
      maxTokens: z.number().int(),
      temperature: z.number(),
      topK: z.number().int(),
      topP: z.number(),
      seed: z.number().int(),
    }),
  ),
});

/**
 * Emits the answers to prompts as token deltas, as they come from the sampler.
 *
 * Order: within an answer; answers mingle. Backpressure: a prompt keeps its bytes until it is answered; they go on with
 * the last delta of its answer, the other deltas have none. Errors: the sampler's end the flow. Completion: after the last answer. Unsubscribing cancels all.
 * Snapshot: the prompts without a whole answer yet; after a restart each is answered again from its first delta. Barriers
 * therefore never wait for an answer.
 */
export function generate(
  sampler: Sampler,
  options: GenerateOptions,
): OperatorFunction<Element<TokenizedPrompt>, Element<TokenDelta>> {
  return (flow) =>
    // Barriers overtake the answers under way, which mergeMap with a limit cannot let them do.
    new Observable((subscriber) => {
      const desk = new AnswerDesk(sampler, options, subscriber);
      subscriber.add(() => desk.cancel());
      return listen(flow, desk, subscriber);
    });
}

class AnswerDesk implements Listener<TokenizedPrompt> {
  readonly #sampler: Sampler;
  readonly #options: GenerateOptions;
  readonly #uid: Uid;
  readonly #subscriber: Subscriber<Element<TokenDelta>>;
  readonly #waiting: Item<TokenizedPrompt>[] = [];
  readonly #answering = new Map<Item<TokenizedPrompt>, Subscription>();
  /** Prompts whose last delta is to come, those that wait included, in order. */
  readonly #unfinished = new Set<Item<TokenizedPrompt>>();
  #advancing = false;
  #sourceCompleted = false;

  constructor(sampler: Sampler, options: GenerateOptions, subscriber: Subscriber<Element<TokenDelta>>) {
    this.#sampler = sampler;
    this.#options = options;
    this.#uid = options.uid ?? 'generate';
    this.#subscriber = subscriber;
  }

  take(element: Element<TokenizedPrompt>): void {
    if (element.kind === 'item') this.#expect(element);
    else {
      if (element.kind === 'restore') this.#restore(element);
      if (element.kind === 'barrier') this.#snapshot(element);
      this.#subscriber.next(element);
    }
    this.#advance();
  }

  sourceCompleted(): void {
    this.#sourceCompleted = true;
    this.#advance();
  }

  cancel(): void {
    for (const answer of this.#answering.values()) answer.unsubscribe();
  }

  #expect(prompt: Item<TokenizedPrompt>): void {
    if (this.#options.answers?.begin(prompt.value.at) === false) {
      prompt.source.window.give(prompt.bytes);
      return;
    }
    this.#unfinished.add(prompt);
    this.#waiting.push(prompt);
  }

  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (!this.#subscriber.closed && this.#answering.size < (this.#options.concurrency ?? 8)) {
      const prompt = this.#waiting.shift();
      if (!prompt) break;
      this.#answer(prompt);
    }
    this.#advancing = false;
    if (this.#sourceCompleted && this.#answering.size === 0) this.#subscriber.complete();
  }

  #answer(item: Item<TokenizedPrompt>): void {
    const { id, at, tokens, ...settings } = item.value;
    let index = 0;
    const request = { ...settings, prompt: tokens, stopTokens: this.#options.stopTokens };
    // Known before it begins: its first delta may already make the subscriber leave, or a barrier come.
    const answer = new Subscription();
    this.#answering.set(item, answer);
    answer.add(
      defer(() => this.#sampler.sample(request)).subscribe({
        next: (delta) => {
          const value: TokenDelta = { ...delta, id, at, index: index++ };
          const isLast = delta.finish !== null && this.#unfinished.delete(item);
          this.#subscriber.next({ kind: 'item', value, bytes: isLast ? item.bytes : 0, source: item.source });
        },
        error: (error: unknown) => this.#subscriber.error(error),
        complete: () => {
          this.#answering.delete(item);
          // A sampler that ends without a last delta leaves the prompt without an answer.
          if (this.#unfinished.delete(item)) item.source.window.give(item.bytes);
          this.#advance();
        },
      }),
    );
  }

  #restore({ states, source }: Restore): void {
    const snapshot = states.get(this.#uid);
    if (!snapshot) return;
    for (const prompt of readState(this.#uid, () => stateSchema.parse(snapshot.state)).unfinished) {
      const value = { ...prompt, tokens: Int32Array.from(prompt.tokens) };
      source.window.take(value.tokens.byteLength);
      this.#expect({ kind: 'item', value, bytes: value.tokens.byteLength, source });
    }
  }

  #snapshot({ basket }: Barrier): void {
    const unfinished = [...this.#unfinished].map(({ value }) => ({
      ...value,
      at: { ...value.at },
      tokens: Array.from(value.tokens),
    }));
    basket.set(this.#uid, { state: { unfinished } });
  }
}

export const generateKind: OperatorKind = defineKind({
  kind: 'generate',
  summary: 'Answers prompts with the newest weights, token by token.',
  input: 'tokenized-prompt',
  output: 'token-delta',
  state: 'the prompts without a whole answer yet',
  config: z.strictObject({
    concurrency: z.int().positive().default(8).describe('Prompts that are answered at once.'),
  }),
  migrationOf: ({ hasOtherTokens }) => (hasOtherTokens ? SPELLED_ANEW : null),
  respelled: ({ state }, { spelled }) => {
    const { unfinished } = stateSchema.parse(state);
    const anew = unfinished.map((prompt) => ({
      ...prompt,
      tokens: prompt.tokens.flatMap((token) => [...(spelled[token] ?? [])]),
    }));
    return { state: { unfinished: anew } };
  },
  build: (uid, config, { sampler, tokenizer, answers }) =>
    generate(sampler, { uid, ...config, stopTokens: [tokenizer.endOfText], ...(answers ? { answers } : {}) }),
});
