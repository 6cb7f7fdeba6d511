import type { Bars } from '../../spec/deploy.ts';
import { bitsPerByte, deadLetterRate, tokensPerSecond } from './vital-signs.ts';
import type { Vitals } from './vital-signs.ts';

/** Of other records than before. */
const LEAST_STEPS = 20;
/** Less time with something to train says nothing of the speed. */
const LEAST_BUSY_MS = 1000;
/** Fewer records say nothing of how many become dead letters. */
const LEAST_RECORDS = 50;
/** A lag of so many records is nobody's worry. */
const FREE_LAG = 1000;

/**
 * In which way one stretch of training was worse than another, by more than the bars allow; null where it was not. What a
 * graph costs at its start, its speed and the lag that its cut has left, counts only where the stretch is over.
 */
export function worse(
  bars: Bars,
  before: Vitals,
  now: Vitals,
  { isOver, leastSteps = LEAST_STEPS }: Scope,
): string | null {
  const checks = [errors, learning, ...(isOver ? [speed, lag] : [])];
  for (const check of checks) {
    const reason = check(bars, before, now, leastSteps);
    if (reason !== null) return reason;
  }
  return null;
}

export interface Scope {
  readonly isOver: boolean;
  /** Fewer say nothing of the bits per byte; one does where both are of the same records. */
  readonly leastSteps?: number;
}

type Check = (bars: Bars, before: Vitals, now: Vitals, leastSteps: number) => string | null;

const errors: Check = (bars, before, now) => {
  if (now.restarts > bars.restarts) {
    return `the stream that trains had to be started again (${now.restarts} times, allowed: ${bars.restarts})`;
  }
  const more = deadLetterRate(now) - deadLetterRate(before);
  if (now.records + now.deadLetters < LEAST_RECORDS || more <= bars.deadLetters) return null;
  return `${percent(deadLetterRate(now))} dead letters for each record, ${percent(deadLetterRate(before))} before (allowed: ${percent(bars.deadLetters)} more)`;
};

const learning: Check = (bars, before, now, leastSteps) => {
  if (before.steps < leastSteps || now.steps < leastSteps) return null;
  const [old, own] = [bitsPerByte(before) ?? 0, bitsPerByte(now) ?? 0];
  return own > old * bars.bitsPerByte
    ? `${own.toFixed(3)} bits per byte, ${old.toFixed(3)} before (allowed: ${bars.bitsPerByte} times)`
    : null;
};

const speed: Check = (bars, before, now) => {
  if (before.busyMs < LEAST_BUSY_MS || now.busyMs < LEAST_BUSY_MS) return null;
  const [old, own] = [tokensPerSecond(before) ?? 0, tokensPerSecond(now) ?? 0];
  return own < old * bars.tokensPerSecond
    ? `${own.toFixed(0)} tokens/s, ${old.toFixed(0)} before (allowed: ${bars.tokensPerSecond} times)`
    : null;
};

const lag: Check = (bars, before, now) => {
  const most = bars.lag * Math.max(FREE_LAG, before.lag);
  return now.lag > most ? `a lag of ${now.lag} records, ${before.lag} before (allowed: ${most.toFixed(0)})` : null;
};

function percent(rate: number): string {
  return `${(rate * 100).toFixed(1)} %`;
}
