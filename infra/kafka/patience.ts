import type { MillraceError } from '../../operators/errors.ts';
import { isPassing, kafkaFailure } from './failure.ts';
import type { Concern } from './failure.ts';

/** No broker answers, or one does again. */
export type Outage =
  | {
      readonly state: 'waiting';
      /** Why nobody answers. */
      readonly reason: string;
      /** How long this is borne, from its beginning on. */
      readonly patienceMs: number;
    }
  | {
      readonly state: 'over';
      /** How long it lasted. */
      readonly lastedMs: number;
    };

export interface PatienceOptions {
  readonly brokers: readonly string[];
  /** How long a call is tried again while it fails with what may pass. */
  readonly patienceMs: number;
  /** Told once calls have failed for a second for want of a broker, and again when one goes well. */
  readonly onOutage?: ((outage: Outage) => void) | undefined;
  /** Once it aborts, nothing is waited for longer than some seconds more: somebody wants to leave. */
  readonly hurry?: AbortSignal | undefined;
}

export interface Attempt<T> {
  /** What is done, and done again; it must bear repetition. */
  readonly work: () => Promise<T>;
  /** Topic that it is about, for messages. */
  readonly topic?: string;
  /** Whether another attempt may go well; what kafkajs calls retriable, when absent. */
  readonly mayPass?: (error: unknown) => boolean;
  /** Told of each failure before the next attempt. */
  readonly onFailure?: (error: unknown) => void;
  /** Whether anybody still waits for it. */
  readonly isWanted?: () => boolean;
}

const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 1000;
const TOLD_AFTER_MS = 1000;
const HURRIED_PATIENCE_MS = 5000;

/** How all calls of one log bear brokers that do not answer: they try again, less and less often, for so long. */
export class Patience {
  readonly #options: PatienceOptions;
  #awayFromMs: number | null = null;
  #isTold = false;
  #hurriedAtMs = Infinity;

  constructor(options: PatienceOptions) {
    this.#options = options;
    const { hurry } = options;
    const hasten = (): void => void (this.#hurriedAtMs = performance.now());
    if (hurry?.aborted) hasten();
    else hurry?.addEventListener('abort', hasten, { once: true });
  }

  /** Rejects with errors of ours: at once with what will not pass, else when patience is at its end. */
  async run<T>({ work, topic = '', mayPass = isPassing, onFailure, isWanted = () => true }: Attempt<T>): Promise<T> {
    const startedMs = performance.now();
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, MAX_DELAY_MS)) {
      try {
        const result = await work();
        this.#succeeded();
        return result;
      } catch (error) {
        onFailure?.(error);
        const waitedMs = performance.now() - startedMs;
        const failure = kafkaFailure(error, { ...this.#concern, topic, waitedMs });
        this.#failed(failure);
        if (!mayPass(error) || !isWanted() || this.#isOver(startedMs, delayMs)) throw failure;
      }
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }

  get #concern(): Concern {
    return { brokers: this.#options.brokers };
  }

  #isOver(startedMs: number, delayMs: number): boolean {
    const nextMs = performance.now() + delayMs;
    const hurriedEndMs = Math.max(startedMs, this.#hurriedAtMs) + HURRIED_PATIENCE_MS;
    return nextMs > Math.min(startedMs + this.#options.patienceMs, hurriedEndMs);
  }

  #failed({ code, message }: MillraceError): void {
    if (code !== 'broker-unreachable') return;
    const nowMs = performance.now();
    this.#awayFromMs ??= nowMs;
    if (this.#isTold || nowMs - this.#awayFromMs < TOLD_AFTER_MS) return;
    this.#isTold = true;
    this.#options.onOutage?.({ state: 'waiting', reason: message, patienceMs: this.#options.patienceMs });
  }

  #succeeded(): void {
    if (this.#isTold && this.#awayFromMs !== null) {
      this.#options.onOutage?.({ state: 'over', lastedMs: performance.now() - this.#awayFromMs });
    }
    this.#awayFromMs = null;
    this.#isTold = false;
  }
}
