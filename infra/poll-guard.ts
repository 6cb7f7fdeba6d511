import { MillraceError } from '../operators/errors.ts';

/** What every reader promises of its polls: one at a time, and none once it is over. */
export class PollGuard {
  #isPolling = false;

  /** Runs a poll. Rejects with `log-closed` when the reader is over, and with `bad-usage` while another poll runs. */
  async run<T>(isOver: boolean, poll: () => Promise<T>): Promise<T> {
    if (isOver) throw new MillraceError('log-closed', 'This reader, or its log, was closed. Open a new one.');
    if (this.#isPolling) throw new MillraceError('bad-usage', 'One poll at a time: await the one under way first.');
    this.#isPolling = true;
    try {
      return await poll();
    } finally {
      this.#isPolling = false;
    }
  }
}
