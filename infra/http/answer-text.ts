import { Observable } from 'rxjs';
import type { OperatorFunction, Subscriber } from 'rxjs';
import type { ChosenProbability } from '../../model/log-probabilities.ts';
import { HeldText } from '../../operators/held-text.ts';
import type { FinishReason, SampleDelta, Tokenizer } from '../../operators/ports.ts';

/** A token as it stands in an answer; or the one that ended it, which has no text. */
export interface SpokenToken {
  readonly id: number;
  /** Characters of the answer before it. */
  readonly offset: number;
  readonly chosen: ChosenProbability | null;
}

/** A part of an answer as text. */
export interface TextPiece {
  readonly text: string;
  readonly tokens: readonly SpokenToken[];
  /** Tokens that were made so far, those included that are not shown. */
  readonly made: number;
  readonly finish: FinishReason | null;
}

/**
 * Turns token deltas into text, as `HeldText` gives it out. Where a stop string is complete, the answer ends before it and
 * the sampler is told to stop.
 */
export function answerText(tokenizer: Tokenizer, stop: readonly string[]): OperatorFunction<SampleDelta, TextPiece> {
  return (deltas) =>
    new Observable((subscriber) => {
      const text = new AnswerText(new HeldText(tokenizer, stop), subscriber);
      return deltas.subscribe({
        next: (delta) => text.take(delta),
        error: (error: unknown) => subscriber.error(error),
        complete: () => subscriber.complete(),
      });
    });
}

class AnswerText {
  readonly #text: HeldText;
  readonly #subscriber: Subscriber<TextPiece>;
  #heldTokens: SpokenToken[] = [];
  /** Characters that have been given out. */
  #given = 0;
  #made = 0;

  constructor(text: HeldText, subscriber: Subscriber<TextPiece>) {
    this.#text = text;
    this.#subscriber = subscriber;
  }

  take({ tokens, logProbabilities, finish }: SampleDelta): void {
    for (const [at, id] of tokens.entries()) {
      this.#heldTokens.push({ id, offset: this.#offset, chosen: logProbabilities?.[at] ?? null });
      this.#text.add(Int32Array.of(id));
    }
    const ended = finish === 'stop' ? logProbabilities?.[tokens.length] : undefined;
    if (ended) this.#heldTokens.push({ id: ended.token, offset: this.#offset, chosen: ended });
    this.#made += tokens.length;
    const { text, isStopped } = this.#text.take(finish !== null);
    this.#given += text.length;
    this.#subscriber.next({
      text,
      tokens: this.#shownTokens(),
      made: this.#made,
      finish: isStopped ? 'stop' : finish,
    });
    if (isStopped) this.#subscriber.complete();
  }

  /** Of the token that comes next. */
  get #offset(): number {
    return this.#given + this.#text.heldLength;
  }

  #shownTokens(): readonly SpokenToken[] {
    const isShown = ({ offset }: SpokenToken): boolean => offset < this.#given || this.#text.heldLength === 0;
    const shown = this.#heldTokens.filter(isShown);
    this.#heldTokens = this.#heldTokens.filter((token) => !isShown(token));
    return shown;
  }
}
