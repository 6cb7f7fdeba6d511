import { describe, expect, test } from 'vitest';
import { rateFraction, scheduleSchema } from '../../model/schedule.ts';

const endless = { warmupTokens: 100, finalFraction: 0.1 };
const ending = { ...endless, totalTokens: 1000, decayTokens: 200 };

describe('rateFraction', () => {
  test('rises linearly, then stays', () => {
    expect([1, 50, 100, 1e9].map((tokens) => rateFraction(endless, tokens))).toEqual([0.01, 0.5, 1, 1]);
  });

  test('decays linearly to its last share and stays there', () => {
    const fractions = [800, 900, 1000, 5000].map((tokens) => rateFraction(ending, tokens));
    [1, 0.55, 0.1, 0.1].forEach((fraction, at) => expect(fractions[at]).toBeCloseTo(fraction, 12));
  });

  test('decays by a root where that is said: fast at first, to zero', () => {
    const cooled = { ...ending, finalFraction: 0, decay: '1-sqrt' } as const;
    const fractions = [800, 850, 1000, 5000].map((tokens) => rateFraction(cooled, tokens));
    [1, 0.5, 0, 0].forEach((fraction, at) => expect(fractions[at]).toBeCloseTo(fraction, 12));
  });

  test('needs no warm-up', () => {
    expect(rateFraction({ ...endless, warmupTokens: 0 }, 1)).toBe(1);
  });
});

describe('scheduleSchema', () => {
  test.each([
    ['half a decay', { ...endless, totalTokens: 1000 }],
    ['a decay that starts before the warm-up ends', { ...ending, decayTokens: 950 }],
    ['an unknown key', { ...endless, warmup: 1 }],
  ])('refuses %s', (_, schedule) => {
    expect(scheduleSchema.safeParse(schedule).success).toBe(false);
  });

  test('takes an endless and an ending one', () => {
    expect(scheduleSchema.parse(endless)).toEqual(endless);
    expect(scheduleSchema.parse(ending)).toEqual(ending);
  });
});
