import { TextDecoder } from 'node:util';
import { Observable } from 'rxjs';
import type { OperatorFunction, Subscriber } from 'rxjs';
import type { ChosenProbability } from '../../model/log-probabilities.ts';
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
 * Turns token deltas into text: whole characters only, and nothing of a stop string. What may become one is held back
 * until it is certain; where one is complete, the answer ends before it and the sampler is told to stop.
 */
export function answerText(tokenizer: Tokenizer, stop: readonly string[]): OperatorFunction<SampleDelta, TextPiece> {
  return (deltas) =>
    new Observable((subscriber) => {
      const text = new HeldText(tokenizer, stop, subscriber);
      return deltas.subscribe({
        next: (delta) => text.take(delta),
        error: (error: unknown) => subscriber.error(error),
        complete: () => subscriber.complete(),
      });
    });
}

class HeldText {
  readonly #tokenizer: Tokenizer;
  readonly #stop: readonly string[];
  readonly #subscriber: Subscriber<TextPiece>;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #held = '';
  #heldTokens: SpokenToken[] = [];
  /** Characters that have been given out. */
  #given = 0;
  #made = 0;

  constructor(tokenizer: Tokenizer, stop: readonly string[], subscriber: Subscriber<TextPiece>) {
    this.#tokenizer = tokenizer;
    this.#stop = stop;
    this.#subscriber = subscriber;
  }

  take({ tokens, logProbabilities, finish }: SampleDelta): void {
    for (const [at, id] of tokens.entries()) {
      this.#heldTokens.push({ id, offset: this.#given + this.#held.length, chosen: logProbabilities?.[at] ?? null });
      this.#held += this.#decoder.decode(this.#tokenizer.decode(Int32Array.of(id)), { stream: true });
    }
    const ended = finish === 'stop' ? logProbabilities?.[tokens.length] : undefined;
    if (ended) this.#heldTokens.push({ id: ended.token, offset: this.#given + this.#held.length, chosen: ended });
    this.#made += tokens.length;
    if (finish !== null) this.#held += this.#decoder.decode();
    const end = endBefore(this.#held, this.#stop);
    if (end !== null) {
      this.#give(end, 'stop');
      this.#subscriber.complete();
    } else this.#give(this.#held.length - (finish === null ? undecided(this.#held, this.#stop) : 0), finish);
  }

  #give(length: number, finish: TextPiece['finish']): void {
    const text = this.#held.slice(0, length);
    const isShown = ({ offset }: SpokenToken): boolean => offset < this.#given + length || this.#held.length === length;
    const tokens = this.#heldTokens.filter(isShown);
    this.#heldTokens = this.#heldTokens.filter((token) => !isShown(token));
    this.#held = this.#held.slice(length);
    this.#given += length;
    this.#subscriber.next({ text, tokens, made: this.#made, finish });
  }
}

/** Where the first stop string begins, or null. */
function endBefore(text: string, stop: readonly string[]): number | null {
  const found = stop.map((each) => text.indexOf(each)).filter((at) => at >= 0);
  return found.length > 0 ? Math.min(...found) : null;
}

/** How many characters at the end may be the beginning of a stop string. */
function undecided(text: string, stop: readonly string[]): number {
  const begun = stop.map((each) => {
    for (let length = Math.min(each.length - 1, text.length); length > 0; length--) {
      if (text.endsWith(each.slice(0, length))) return length;
    }
    return 0;
  });
  return Math.max(0, ...begun);
}
