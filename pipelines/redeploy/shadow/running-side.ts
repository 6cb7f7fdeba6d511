import type { Observable, Subscription } from 'rxjs';
import { MillraceError } from '../../../operators/errors.ts';
import type { Element } from '../../../operators/flow.ts';
import { isItem } from '../../../operators/flow.ts';
import type { CheckpointReport, Coordinates, Report } from '../../../operators/types.ts';
import { Stretch } from './stretch.ts';

export interface RunningSideOptions {
  readonly steps: number;
  readonly elements: Observable<Element<Report>>;
  readonly letters: Observable<Coordinates>;
  readonly onStep: (step: number) => void;
  readonly signal: AbortSignal;
}

/** Follows the running graph: waits for a cut of it, then takes down so many steps from there. */
export class RunningSide {
  readonly stretch: Stretch = new Stretch();
  /** What it has done since the candidate began, for the speed of both at the same time. */
  meanwhile: Stretch = new Stretch();
  /** The next cut. Rejects, as `done` does, when the stream began anew or nobody waits any more. */
  readonly cut: Promise<CheckpointReport>;
  /** Resolves when the steps are done. */
  readonly done: Promise<void>;
  readonly #options: RunningSideOptions;
  readonly #listening: Subscription;
  #failure: { readonly cause: unknown } | null = null;
  #isCut = false;
  #onCut: (report: CheckpointReport) => void = () => {};
  #onDone: () => void = () => {};
  readonly #onFailure: ((error: unknown) => void)[] = [];

  constructor(options: RunningSideOptions) {
    const { elements, letters, signal } = options;
    this.#options = options;
    this.cut = new Promise((resolve, reject) => {
      this.#onCut = resolve;
      this.#onFailure.push(reject);
    });
    this.done = new Promise((resolve, reject) => {
      this.#onDone = resolve;
      this.#onFailure.push(reject);
    });
    // Who waits for the one is not there yet for the other.
    this.cut.catch(() => undefined);
    this.done.catch(() => undefined);
    this.#listening = elements.subscribe((element) => this.#take(element));
    this.#listening.add(letters.subscribe((at) => this.stretch.deadLetter(at)));
    const leave = (): void => this.#fail(signal.reason);
    signal.addEventListener('abort', leave);
    this.#listening.add(() => signal.removeEventListener('abort', leave));
    if (signal.aborted) leave();
  }

  /** Throws what has kept the running side from going on, if anything has. */
  throwIfFailed(): void {
    if (this.#failure) throw this.#failure.cause;
  }

  close(): void {
    this.#listening.unsubscribe();
  }

  #take(element: Element<Report>): void {
    if (element.kind === 'restore') {
      this.#fail(new MillraceError('job-busy', 'The stream that trains was started again meanwhile. Ask once more.'));
    }
    if (!this.#isCut) {
      if (!isItem(element) || element.value.event !== 'checkpoint') return;
      this.#isCut = true;
      this.#onCut(element.value);
      return;
    }
    this.meanwhile.take(element);
    if (this.stretch.steps >= this.#options.steps) return;
    const before = this.stretch.steps;
    this.stretch.take(element);
    if (this.stretch.steps === before) return;
    this.#options.onStep(this.stretch.steps);
    if (this.stretch.steps >= this.#options.steps) this.#onDone();
  }

  #fail(cause: unknown): void {
    this.#failure ??= { cause };
    for (const reject of this.#onFailure) reject(cause);
  }
}
