import { Subscription } from 'rxjs';
import type { Assignment, Assignments } from './ports.ts';

/** What a source does as its partitions come and go. */
export interface Owner {
  /** To let down a barrier soon: its partitions are asked back. */
  wantHandOver(): void;
  /** To look at `next`. */
  wake(): void;
  /** The assignment can not be followed any more. */
  fail(error: unknown): void;
}

/** Follows the assignment of one source: what it may read, what it has given back, and what it is to read next. */
export class Ownership {
  readonly #owner: Owner;
  readonly #subscription = new Subscription();
  readonly #first: Promise<Assignment>;
  #current: Assignment | null = null;
  #next: Assignment | null = null;
  #isHandedOver = false;
  #handedOver: () => void = () => {};

  constructor(assignments: Assignments, owner: Owner) {
    this.#owner = owner;
    this.#first = new Promise((resolve) => {
      this.#subscription.add(
        assignments
          .watch(() => this.#giveBack())
          .subscribe({
            next: (assignment) => {
              if (this.#current) this.#next = assignment;
              this.#current ??= assignment;
              resolve(this.#current);
              owner.wake();
            },
            error: (error: unknown) => owner.fail(error),
          }),
      );
    });
  }

  /** The first assignment, whenever it comes. */
  get first(): Promise<Assignment> {
    return this.#first;
  }

  get current(): Assignment | null {
    return this.#current;
  }

  /** What waits to be adopted. */
  get next(): Assignment | null {
    return this.#next;
  }

  /** True from the barrier that ends with the partitions until the next assignment is adopted. */
  get isHandedOver(): boolean {
    return this.#isHandedOver;
  }

  /** The barrier for the hand-over goes down now: nothing may follow it. */
  barrierLetDown(): void {
    this.#isHandedOver = true;
  }

  /** The cut of that barrier counts. */
  barrierCommitted(): void {
    this.#handedOver();
  }

  /** False when the assignment has been taken back since it came. */
  adopt(next: Assignment): boolean {
    if (this.#next !== next) return false;
    this.#current = next;
    this.#next = null;
    this.#isHandedOver = false;
    return true;
  }

  stop(): void {
    this.#subscription.unsubscribe();
  }

  #giveBack(): Promise<void> {
    // Nothing has been read of what has not been adopted.
    this.#next = null;
    if (!this.#current || this.#isHandedOver) return Promise.resolve();
    return new Promise((resolve) => {
      this.#handedOver = resolve;
      this.#owner.wantHandOver();
    });
  }
}
