import type { CutReason } from './types.ts';

/** Periodic requests are content with any cut; the others are each waited for by somebody. */
const PERIODIC: readonly CutReason[] = ['steps', 'timer'];
const ORDER: readonly CutReason[] = ['savepoint', 'stop', 'final', 'deploy', 'handover', ...PERIODIC];

/** Cuts that were asked for and are still to be made. */
export class WantedCuts {
  readonly #wanted = new Set<CutReason>();
  readonly #holds = new Set<object>();

  /** Whose turn it is; none while all that are wanted are put off. */
  get next(): CutReason | undefined {
    return ORDER.find((reason) => this.#wanted.has(reason) && (reason !== 'deploy' || this.#holds.size === 0));
  }

  /** Puts off cuts for `deploy` until the returned function is called. */
  holdDeploy(): () => void {
    const hold = {};
    this.#holds.add(hold);
    return () => this.#holds.delete(hold);
  }

  add(reason: CutReason): void {
    this.#wanted.add(reason);
  }

  done(reason: CutReason): void {
    for (const each of [reason, ...PERIODIC]) this.#wanted.delete(each);
  }
}
