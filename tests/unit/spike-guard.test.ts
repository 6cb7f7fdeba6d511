import { array, assert, double, property, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NOTHING_SEEN, NO_LIMITS, faultOf, limitsOf, windowAfter } from '../../model/spike-guard.ts';
import type { GuardWindow } from '../../model/spike-guard.ts';

const GUARD = { sigma: 6, gradientSigma: 12, window: 4 };

interface Figures {
  readonly loss: number;
  readonly gradNorm: number;
}

/** The window behind steps, and which of them were spikes. */
function after(steps: readonly Figures[], guard = GUARD): { window: GuardWindow; spikes: number[] } {
  let window = NOTHING_SEEN;
  const spikes: number[] = [];
  for (const [at, figures] of steps.entries()) {
    const limits = limitsOf(window, guard);
    if (figures.loss > limits.maxLoss || figures.gradNorm > limits.maxGradNorm) spikes.push(at);
    window = windowAfter(window, figures, limits, guard);
  }
  return { window, spikes };
}

function noisy(level: number, steps: number): Figures[] {
  return Array.from({ length: steps }, (_, at) => ({ loss: level + 0.1 * Math.sin(at * 7.3), gradNorm: 1 }));
}

const calm = [1, 3, 1, 3].map((loss) => ({ loss, gradNorm: loss }));

describe('limits of a step', () => {
  it('are mean plus sigma deviations, of the gradient in logarithms; none before the window is full', () => {
    expect(limitsOf(after(calm.slice(1)).window, GUARD)).toBe(NO_LIMITS);
    const { maxLoss, maxGradNorm } = limitsOf(after(calm).window, GUARD);
    expect(maxLoss).toBe(2 + 6 * 1);
    expect(maxGradNorm).toBeCloseTo(Math.exp(Math.log(3) / 2 + (12 * Math.log(3)) / 2));
  });

  it('leave room where figures hardly differ', () => {
    const { maxLoss, maxGradNorm } = limitsOf(after([1, 2, 3, 4].map(() => ({ loss: 2, gradNorm: 1 }))).window, GUARD);
    expect(maxLoss).toBeCloseTo(2 * 1.18);
    expect(maxGradNorm).toBeCloseTo(Math.exp(12 * 0.03));
  });

  it('forget what is older than the window, and take nothing in that is not finite or was nothing to learn', () => {
    const odd = [NaN, Infinity].flatMap((value) => [
      { loss: value, gradNorm: 1 },
      { loss: 1, gradNorm: value },
    ]);
    const { window } = after([{ loss: 9, gradNorm: 9 }, ...calm, ...odd, { loss: 0, gradNorm: 0 }]);
    expect(window).toEqual(after(calm).window);
  });

  it('move little for an outlier, and go on with a change that lasts', () => {
    const guard = { ...GUARD, window: 128 };
    const once = after([...noisy(2, 128), { loss: 50, gradNorm: 1 }, ...noisy(2, 40), { loss: 4, gradNorm: 1 }], guard);
    expect(once.spikes).toEqual([128, 169]);
    const changed = after([...noisy(2, 128), ...noisy(4, 200)], guard).spikes;
    expect(changed.length).toBeGreaterThan(3);
    expect(changed.length).toBeLessThan(32);
    expect(changed).toEqual(changed.map((_, at) => 128 + at));
  });

  it('take every step of a stream whose figures never differ by more than a tenth', () => {
    const figure = double({ min: 1, max: 1.1, noNaN: true });
    assert(
      property(array(record({ loss: figure, gradNorm: figure }), { maxLength: 40 }), (steps) => {
        expect(after(steps).spikes).toEqual([]);
      }),
    );
  });
});

it('says why a step was skipped, as the step has compared it', () => {
  const limits = { maxLoss: 0.1, maxGradNorm: 1 };
  expect(faultOf({ loss: NaN, gradNorm: 1 }, limits)).toBe('non-finite-loss');
  expect(faultOf({ loss: 1, gradNorm: Infinity }, limits)).toBe('non-finite-loss');
  expect(faultOf({ loss: 0.2, gradNorm: 2 }, limits)).toBe('loss-spike');
  expect(faultOf({ loss: Math.fround(0.1), gradNorm: 2 }, limits)).toBe('gradient-spike');
});
