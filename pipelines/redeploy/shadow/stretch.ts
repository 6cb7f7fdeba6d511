import type { Element } from '../../../operators/flow.ts';
import { isItem } from '../../../operators/flow.ts';
import type { Position } from '../../../operators/ports.ts';
import { keyOf } from '../../../operators/standing.ts';
import type { Coordinates, Report } from '../../../operators/types.ts';
import { VitalSigns } from '../watch/vital-signs.ts';
import type { Vitals } from '../watch/vital-signs.ts';

/** Steps of one graph from a cut on, and what became of the records that they trained. */
export class Stretch {
  readonly #signs = new VitalSigns();
  readonly #reached = new Map<string, number>();
  readonly #letters: Coordinates[] = [];
  #steps = 0;

  /** Undone steps count here, too. */
  get steps(): number {
    return this.#steps;
  }

  get bytes(): number {
    return this.#signs.all.bytes;
  }

  /** A report of the stream; of all but steps nothing is taken. */
  take(element: Element<Report>): void {
    if (!isItem(element) || element.value.event !== 'step') return;
    this.#steps += 1;
    this.#signs.step(element.value, element.source.window.inFlightBytes > 0);
    for (const span of element.value.spans) this.#reached.set(keyOf(span), span.to);
  }

  deadLetter(at: Coordinates): void {
    this.#letters.push(at);
  }

  /**
   * Dead letters are those between the cut, where the source went on, and what was trained last: who has read ahead is not
   * blamed for that.
   */
  vitals(cut: readonly Position[]): Vitals {
    const from = new Map(cut.map((position) => [keyOf(position), position.offset]));
    const isWithin = (at: Coordinates): boolean => {
      const key = keyOf(at);
      return at.offset >= (from.get(key) ?? 0) && at.offset < (this.#reached.get(key) ?? 0);
    };
    return { ...this.#signs.all, deadLetters: this.#letters.filter(isWithin).length };
  }
}
