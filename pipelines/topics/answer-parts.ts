import type { PublishedDelta } from './published.ts';

/** Topics that a job's answers are in, unless its graph says otherwise. */
export const GENERATIONS = 'generations';
/** The same as they are made: not yet committed, and possibly twice. */
export const GENERATIONS_LIVE = 'generations-live';

/**
 * Puts one answer together out of two topics: as it is made, which comes first but begins again when the job does, and as it
 * is committed, which is what counts. Says each time which parts to show; a part 0 after others means that the answer
 * begins again, since it has become another.
 */
export class AnswerParts {
  #shown: PublishedDelta[] = [];
  /** What each topic has given since its last part 0. */
  readonly #runs = new Map<string, PublishedDelta[]>();

  /** The parts to show for a part that has come in a topic. */
  push(topic: string, part: PublishedDelta): readonly PublishedDelta[] {
    const run = part.index === 0 ? [] : (this.#runs.get(topic) ?? []);
    // Of an answer whose beginning was not seen nothing is shown.
    if (part.index !== run.length) return [];
    run.push(part);
    this.#runs.set(topic, run);
    const shown = this.#shown[part.index];
    if (shown && isSame(shown, part)) return [];
    if (!shown && part.index === this.#shown.length) {
      this.#shown.push(part);
      return [part];
    }
    this.#shown = [...run];
    return run;
  }
}

function isSame(one: PublishedDelta, other: PublishedDelta): boolean {
  return one.text === other.text && one.finish === other.finish && one.weights.id === other.weights.id;
}
