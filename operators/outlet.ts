import type { Subscriber } from 'rxjs';
import type { Barrier, Element, Tick } from './flow.ts';

/**
 * Lets elements out in the order in which they were put, each once it is there. What can't be made, or let out, ends the
 * flow. What was put by then can be held back until something else counts.
 */
export class Outlet<T> {
  readonly #subscriber: Subscriber<Element<T>>;
  readonly #onOut: () => void;
  /** Settles when the newest element has been let out; each waits for the one before it. */
  #letOut: Promise<void> = Promise.resolve();
  #leaving = 0;
  readonly #barriers = new Set<Barrier>();
  #isHeld = false;
  #hasLast = false;

  /** `onOut` is called behind each element that was let out. */
  constructor(subscriber: Subscriber<Element<T>>, onOut: () => void) {
    this.#subscriber = subscriber;
    this.#onOut = onOut;
  }

  /** Whether all that was put is out. */
  get isEmpty(): boolean {
    return this.#leaving === 0;
  }

  /**
   * Whether a barrier was put that the job ends with. A step behind it would be for nothing, also while its cut is being
   * stored: what it published would stay in its topic, and be no part of what the job goes on from.
   */
  get hasLast(): boolean {
    return this.#hasLast;
  }

  put(element: () => Promise<Element<T>>): void {
    this.#leaving += 1;
    this.#follow(this.#emit(element(), this.#letOut));
  }

  putBarrier(barrier: Barrier, ready: Promise<void> = Promise.resolve()): void {
    this.#barriers.add(barrier);
    this.#hasLast ||= barrier.reason === 'stop' || barrier.reason === 'final';
    this.put(() => ready.then(() => barrier));
  }

  /** Out at once, past steps that are under way, but never past a barrier or what is held back. */
  putTick(tick: Tick): void {
    if (this.#barriers.size > 0 || this.#isHeld) this.put(async () => tick);
    else this.#subscriber.next(tick);
  }

  /** Holds back what is put from here on. */
  holdUntil(counts: Promise<void>): void {
    this.#isHeld = true;
    const released = Promise.all([this.#letOut, counts]).then(() => {
      this.#isHeld = false;
    });
    this.#follow(released);
  }

  #follow(letOut: Promise<void>): void {
    this.#letOut = letOut;
    letOut.catch((error: unknown) => this.#subscriber.error(error));
  }

  async #emit(element: Promise<Element<T>>, before: Promise<void>): Promise<void> {
    const [ready] = await Promise.all([element, before]);
    this.#leaving -= 1;
    if (ready.kind === 'barrier') this.#barriers.delete(ready);
    if (this.#subscriber.closed) return;
    this.#subscriber.next(ready);
    this.#onOut();
  }
}
