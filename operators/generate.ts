import { Observable, Subscription, defer } from 'rxjs';
import type { OperatorFunction, Subscriber } from 'rxjs';
import { z } from 'zod';
import { dueAt } from './due-at.ts';
import type { Barrier, Element, Item, Restore, Uid } from './flow.ts';
import { listen } from './listen.ts';
import type { Listener } from './listen.ts';
import { NumberedAnswer } from './numbered-answer.ts';
import type { AnswerBook, Clock, FinishReason, Sampler, Tokenizer } from './ports.ts';
import { readState } from './stateful.ts';
import type { Cancellation, OnNewWeights, TokenDelta, TokenizedPrompt } from './types.ts';
import { SPELLED_ANEW, defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';

export interface GenerateOptions {
  readonly uid?: Uid;
  /** Prompts that are answered at once; the others wait. */
  readonly concurrency?: number;
  /** Tokens that end an answer. */
  readonly stopTokens: readonly number[];
  /** Reads answers for the stop strings of their prompts; without, only stop tokens end them. */
  readonly tokenizer?: Pick<Tokenizer, 'decode'>;
  /** What becomes of answers under way when new weights come, where their prompts do not say; `switch` when absent. */
  readonly onNewWeights?: OnNewWeights;
  /** Prompts that have an answer there are passed over. Without, each is answered at least once. */
  readonly answers?: Pick<AnswerBook, 'begin'>;
  /** The time of day when absent. */
  readonly clock?: Clock;
}

const stateSchema = z.object({
  unfinished: z.array(
    z.object({
      id: z.string(),
      at: z.object({ topic: z.string(), partition: z.number().int(), offset: z.number().int() }),
      key: z.string().nullable().default(null),
      tokens: z.array(z.number().int()),
      maxTokens: z.number().int(),
      temperature: z.number(),
      topK: z.number().int(),
      topP: z.number(),
      seed: z.number().int(),
      stop: z.array(z.string()).default([]),
      deadlineAtMs: z.number().nullable().default(null),
      onNewWeights: z.enum(['switch', 'finish']).nullable().default(null),
    }),
  ),
});

/**
 * Emits the answers to prompts as token deltas, as they come from the sampler. A prompt whose time is over, or that is taken
 * back, ends with what it has so far, and with a last delta that says so; also when it was still waiting. The delta that
 * completes a stop string is the last one, and the sampler says no more.
 *
 * Order: within an answer; answers mingle. Backpressure: a prompt keeps its bytes until it is answered; they go on with
 * the last delta of its answer, the other deltas have none. Errors: the sampler's end the flow. Completion: after the last
 * answer. Unsubscribing cancels all.
 * Snapshot: the prompts without a whole answer yet; after a restart each is answered again from its first delta. Barriers
 * therefore never wait for an answer.
 */
export function generate(
  sampler: Sampler,
  options: GenerateOptions,
): OperatorFunction<Element<TokenizedPrompt | Cancellation>, Element<TokenDelta>> {
  return (flow) =>
    // Barriers overtake the answers under way, which mergeMap with a limit cannot let them do.
    new Observable((subscriber) => {
      const desk = new AnswerDesk(sampler, options, subscriber);
      subscriber.add(() => desk.cancel());
      return listen(flow, desk, subscriber);
    });
}

/** A prompt whose last delta is to come. */
interface Asked {
  readonly item: Item<TokenizedPrompt>;
  readonly answer: NumberedAnswer;
  /** What is under way for it: its answer, once that has begun, and what watches its deadline. */
  readonly underWay: Subscription;
}

class AnswerDesk implements Listener<TokenizedPrompt | Cancellation> {
  readonly #sampler: Sampler;
  readonly #options: GenerateOptions;
  readonly #uid: Uid;
  readonly #clock: Clock;
  readonly #subscriber: Subscriber<Element<TokenDelta>>;
  #waiting: Asked[] = [];
  /** With an answer that has not completed. */
  readonly #answering = new Set<Asked>();
  /** Those that wait included, in order. */
  readonly #unfinished = new Set<Asked>();
  #advancing = false;
  #sourceCompleted = false;

  constructor(sampler: Sampler, options: GenerateOptions, subscriber: Subscriber<Element<TokenDelta>>) {
    this.#sampler = sampler;
    this.#options = options;
    this.#uid = options.uid ?? 'generate';
    this.#clock = options.clock ?? { nowMs: () => Date.now() };
    this.#subscriber = subscriber;
  }

  take(element: Element<TokenizedPrompt | Cancellation>): void {
    if (element.kind === 'item') {
      const { value, ...rest } = element;
      if ('cancels' in value) this.#takeBack({ ...rest, value });
      else this.#expect({ ...rest, value });
    } else {
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
    for (const asked of [...this.#unfinished, ...this.#answering]) asked.underWay.unsubscribe();
  }

  #expect(item: Item<TokenizedPrompt>): void {
    if (this.#options.answers?.begin(item.value.at) === false) {
      item.source.window.give(item.bytes);
      return;
    }
    const answer = new NumberedAnswer(item.value, this.#clock, this.#options.tokenizer ?? null);
    const asked = { item, answer, underWay: new Subscription() };
    this.#unfinished.add(asked);
    this.#waiting.push(asked);
    const { deadlineAtMs } = item.value;
    if (deadlineAtMs === null) return;
    asked.underWay.add(dueAt(deadlineAtMs, this.#clock).subscribe(() => this.#end(asked, 'deadline')));
  }

  #takeBack({ value: { cancels, at }, source, bytes }: Item<Cancellation>): void {
    for (const asked of this.#unfinished) {
      const { key, at: promptAt } = asked.item.value;
      if (key === cancels && promptAt.topic === at.topic) this.#end(asked, 'cancelled');
    }
    source.window.give(bytes);
  }

  /** Ends an answer that has begun or waits, with what it has so far. */
  #end(asked: Asked, finish: FinishReason): void {
    if (this.#unfinished.has(asked)) this.#endWith(asked, asked.answer.end(finish));
  }

  #endWith(asked: Asked, last: TokenDelta): void {
    asked.underWay.unsubscribe();
    this.#waiting = this.#waiting.filter((each) => each !== asked);
    this.#answering.delete(asked);
    this.#emit(asked, last);
    this.#advance();
  }

  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (!this.#subscriber.closed && this.#answering.size < (this.#options.concurrency ?? 8)) {
      const asked = this.#waiting.shift();
      if (!asked) break;
      this.#answer(asked);
    }
    this.#advancing = false;
    if (this.#sourceCompleted && this.#answering.size === 0) this.#subscriber.complete();
  }

  #answer(asked: Asked): void {
    const { id: _id, at: _at, key: _key, deadlineAtMs: _deadline, stop: _stop, tokens, ...settings } = asked.item.value;
    const { stopTokens } = this.#options;
    const onNewWeights = settings.onNewWeights ?? this.#options.onNewWeights ?? 'switch';
    const request = { ...settings, prompt: tokens, stopTokens, onNewWeights };
    // Known before it begins: its first delta may already make the subscriber leave, or a barrier come.
    this.#answering.add(asked);
    asked.underWay.add(
      defer(() => this.#sampler.sample(request)).subscribe({
        next: (delta) => {
          // A sampler that speaks at once can't be told in time that it was stopped.
          if (asked.underWay.closed) return;
          const part = asked.answer.part(delta);
          if (part.finish !== null && delta.finish === null) this.#endWith(asked, part);
          else this.#emit(asked, part);
        },
        error: (error: unknown) => this.#subscriber.error(error),
        complete: () => {
          asked.underWay.unsubscribe();
          this.#answering.delete(asked);
          const { source, bytes } = asked.item;
          // A sampler that ends without a last delta leaves the prompt without an answer.
          if (this.#unfinished.delete(asked)) source.window.give(bytes);
          this.#advance();
        },
      }),
    );
  }

  #emit(asked: Asked, value: TokenDelta): void {
    const { source, bytes } = asked.item;
    const isLast = value.finish !== null && this.#unfinished.delete(asked);
    this.#subscriber.next({ kind: 'item', value, bytes: isLast ? bytes : 0, source });
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
    const unfinished = [...this.#unfinished].map(({ item: { value } }) => ({
      ...value,
      at: { ...value.at },
      stop: [...value.stop],
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
    onNewWeights: z
      .enum(['switch', 'finish'])
      .default('switch')
      .describe('An answer under way goes on with new weights, or ends on its old ones; a prompt may say otherwise.'),
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
  build: (uid, config, { sampler, tokenizer, answers, clock }) =>
    generate(sampler, {
      uid,
      ...config,
      clock,
      tokenizer,
      stopTokens: [tokenizer.endOfText],
      ...(answers ? { answers } : {}),
    }),
});
