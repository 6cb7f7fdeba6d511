import type { CutReason } from './types.ts';

/** Periodic requests are content with any cut; the others are each waited for by somebody. */
const PERIODIC: readonly CutReason[] = ['steps', 'timer'];
const ORDER: readonly CutReason[] = ['savepoint', 'stop', 'final', 'deploy', 'handover', ...PERIODIC];

/** Cuts that were asked for and are still to be made. */
export class WantedCuts {
  readonly #wanted = new Set<CutReason>();

  get isEmpty(): boolean {
    return this.#wanted.size === 0;
  }

  /** Whose turn it is. */
  get next(): CutReason | undefined {
    return ORDER.find((reason) => this.#wanted.has(reason));
  }

  add(reason: CutReason): void {
    this.#wanted.add(reason);
  }

  done(reason: CutReason): void {
    for (const each of [reason, ...PERIODIC]) this.#wanted.delete(each);
  }
}
