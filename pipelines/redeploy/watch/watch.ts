import { Subscription, exhaustMap, interval } from 'rxjs';
import { z } from 'zod';
import type { Json } from '../../../operators/types.ts';
import { barsSchema } from '../../spec/deploy.ts';
import type { Bars } from '../../spec/deploy.ts';
import { bitsPerByte, NO_VITALS, tokensPerSecond, vitalsSchema } from './vital-signs.ts';
import type { Vitals, VitalSigns } from './vital-signs.ts';
import { worse } from './worse.ts';

/** What the history keeps of a watch, so that another process can go on with it. */
export interface WatchState {
  readonly windowMs: number;
  readonly bars: Bars;
  /** Version of the graph that is gone back to. */
  readonly from: number;
  /** How that graph did before the cut. */
  readonly before: Vitals;
  /** How the watched one has done. */
  readonly now: Vitals;
  /** For how long it has trained, or had nothing to train. */
  readonly watchedMs: number;
  /** Why it is to be gone back from; null as long as it is not. */
  readonly verdict: string | null;
}

export const watchSchema: z.ZodType<WatchState> = z.object({
  windowMs: z.number().nonnegative(),
  bars: barsSchema,
  from: z.int().positive(),
  before: vitalsSchema,
  now: vitalsSchema,
  watchedMs: z.number().nonnegative(),
  verdict: z.string().nullable(),
});

/** How a watch ended. */
export interface WatchEnd {
  readonly outcome: 'live' | 'rolled-back';
  readonly note: string;
}

export interface WatchOptions {
  readonly state: WatchState;
  readonly signs: VitalSigns;
  readonly save: (state: WatchState) => Promise<void>;
  /** Called once where the graph has stood the watch. */
  readonly onStood: (state: WatchState) => Promise<void>;
  /** Called once, when the verdict is stored, where it is to be gone back from. */
  readonly onWorse: (verdict: string) => void;
  /** A fault of the watch itself. */
  readonly onFault: (error: unknown) => void;
}

export function beginWatch(about: Pick<WatchState, 'windowMs' | 'bars' | 'from'>): WatchState {
  return { ...about, before: NO_VITALS, now: NO_VITALS, watchedMs: 0, verdict: null };
}

const LOOK_EVERY_MS = 250;
const SAVE_EVERY_MS = 2000;
/** A graph that does nothing for so long, although there is text, is not waited for. */
const STANDSTILL_MS = 300_000;

/**
 * Watches a graph for as long as its window says, or until it does worse than its bars allow, or nothing for five minutes.
 * Only time counts in which it trains, or has nothing to train. What it knows is saved every two seconds, and the verdict before anything is done about it.
 */
export class Watch {
  readonly #options: WatchOptions;
  readonly #looking = new Subscription();
  readonly #followers = new Set<(progress: Json) => void>();
  readonly #ends: ((end: WatchEnd) => void)[] = [];
  #state: WatchState;
  #isDecided = false;
  #lookedAtMs = performance.now();
  #standsMs = 0;
  #savedAtMs = performance.now();
  #saving: Promise<void> = Promise.resolve();

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#state = options.state;
    options.signs.begin(options.state.now);
    if (options.state.verdict !== null) return;
    this.#looking.add(
      interval(LOOK_EVERY_MS)
        .pipe(exhaustMap(() => this.#look().catch(options.onFault)))
        .subscribe(),
    );
  }

  get state(): WatchState {
    return this.#state;
  }

  /** Tells how it goes, and resolves when it is over. */
  follow(tell: (progress: Json) => void): Promise<WatchEnd> {
    this.#followers.add(tell);
    return new Promise((resolve) => this.#ends.push(resolve));
  }

  /** The graph is to be gone back from, whatever the bars say. */
  async condemn(verdict: string): Promise<void> {
    if (this.#isDecided) return;
    this.#isDecided = true;
    try {
      await this.#save({ verdict });
    } catch (error) {
      // It is looked, and tried, again.
      this.#isDecided = false;
      throw error;
    }
    this.#looking.unsubscribe();
    this.#options.onWorse(verdict);
  }

  /** Tells those who follow that it is over. */
  end(end: WatchEnd): void {
    this.#isDecided = true;
    this.#looking.unsubscribe();
    for (const resolve of this.#ends) resolve(end);
  }

  /** The job ends; another process goes on with the watch. */
  async stop(): Promise<void> {
    if (this.#isDecided) return;
    this.#looking.unsubscribe();
    await this.#save({});
  }

  async #look(): Promise<void> {
    if (this.#isDecided) return;
    const { signs, onStood } = this.#options;
    const nowMs = performance.now();
    const passedMs = nowMs - this.#lookedAtMs;
    this.#lookedAtMs = nowMs;
    const isAlive = signs.isAlive();
    this.#standsMs = isAlive ? 0 : this.#standsMs + passedMs;
    const watchedMs = this.#state.watchedMs + (isAlive ? passedMs : 0);
    this.#state = { ...this.#state, watchedMs, now: signs.all };
    const { windowMs, bars, before, now } = this.#state;
    const isOver = watchedMs >= windowMs;
    const standstill =
      this.#standsMs >= STANDSTILL_MS ? 'nothing was trained for 5 minutes, although there is text' : null;
    const reason = standstill ?? worse(bars, before, now, { isOver });
    if (reason !== null) return this.condemn(reason);
    if (isOver) {
      this.#isDecided = true;
      this.#looking.unsubscribe();
      await this.#saving;
      return onStood(this.#state);
    }
    if (nowMs - this.#savedAtMs < SAVE_EVERY_MS) return;
    this.#savedAtMs = nowMs;
    for (const tell of this.#followers) tell(progressOf(this.#state));
    await this.#save({});
  }

  #save(change: Partial<WatchState>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    const state = this.#state;
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#options.save(state));
    return this.#saving;
  }
}

/** What `millrace deploy --watch` prints of a watch under way. */
function progressOf({ windowMs, watchedMs, before, now }: WatchState): Json {
  return { phase: 'watch', windowMs, watchedMs, before: figuresOf(before), now: figuresOf(now) };
}

function figuresOf(vitals: Vitals): Json {
  const { steps, deadLetters, lag } = vitals;
  return { steps, bitsPerByte: bitsPerByte(vitals), tokensPerSecond: tokensPerSecond(vitals), deadLetters, lag };
}
