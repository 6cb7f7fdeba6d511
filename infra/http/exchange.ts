import type { FastifyReply, FastifyRequest } from 'fastify';
import { fromEvent, merge, of, take } from 'rxjs';
import type { Observable } from 'rxjs';
import { ApiError } from './api-error.ts';

/** Emits once, when the response has been sent or the client has hung up; at once where it has already. */
export function exchangeOver({ raw: { socket } }: FastifyRequest, { raw }: FastifyReply): Observable<unknown> {
  if (socket.destroyed || raw.destroyed) return of(null);
  return merge(fromEvent(socket, 'close'), fromEvent(raw, 'close')).pipe(take(1));
}

/** Hangs up on a client that takes nothing of what waits for it for so long. */
export function hangUpOnStalled({ raw }: FastifyReply, patienceMs: number): void {
  raw.setTimeout(patienceMs, () => {
    if (raw.writableLength > 0) raw.destroy();
  });
}

/** The answers that may be under way at once. */
export class Places {
  readonly #most: number;
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Takes places until the exchange is over, whether or not anybody has read the answers by then: whoever does not read
   * keeps memory busy. Throws an `ApiError` where so many are not free.
   */
  take(count: number, over: Observable<unknown>): void {
    if (this.#taken + count > this.#most) {
      throw new ApiError(429, `More than ${this.#most} answers would be under way. Try again in a while.`);
    }
    this.#taken += count;
    over.subscribe(() => (this.#taken -= count));
  }
}
