import { TextDecoder } from 'node:util';
import type { Tokenizer } from './ports.ts';

/** What of an answer is certain by now. */
export interface CertainText {
  readonly text: string;
  /** A stop string is complete: the answer ends before it. */
  readonly isStopped: boolean;
}

/**
 * The text of one answer, token by token: whole characters only, and nothing of a stop string. What may become one is held
 * back until it is certain; of the first that is complete, and of all behind it, nothing is given out. Bytes that never
 * become a character are U+FFFD at the answer's end.
 */
export class HeldText {
  readonly #tokenizer: Pick<Tokenizer, 'decode'>;
  readonly #stop: readonly string[];
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #held = '';
  #isStopped = false;

  constructor(tokenizer: Pick<Tokenizer, 'decode'>, stop: readonly string[]) {
    this.#tokenizer = tokenizer;
    this.#stop = stop;
  }

  /** Characters that were not given out yet. */
  get heldLength(): number {
    return this.#held.length;
  }

  add(tokens: Int32Array): void {
    this.#held += this.#decoder.decode(this.#tokenizer.decode(tokens), { stream: true });
  }

  /** Gives out what is certain; at the answer's end, all that is held. */
  take(isLast: boolean): CertainText {
    if (isLast) this.#held += this.#decoder.decode();
    if (this.#isStopped) return { text: '', isStopped: true };
    const end = endBefore(this.#held, this.#stop);
    this.#isStopped = end !== null;
    const certain = end ?? this.#held.length - (isLast ? 0 : undecided(this.#held, this.#stop));
    const text = this.#held.slice(0, certain);
    this.#held = this.#held.slice(certain);
    return { text, isStopped: this.#isStopped };
  }
}

/**
 * Where the stop string begins that is complete first, the longest of several; or null. So it makes no difference how the
 * text was cut on its way here.
 */
function endBefore(text: string, stop: readonly string[]): number | null {
  const [first] = stop
    .map((each) => ({ from: text.indexOf(each), length: each.length }))
    .filter(({ from }) => from >= 0)
    .toSorted((one, other) => one.from + one.length - (other.from + other.length) || one.from - other.from);
  return first?.from ?? null;
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
