import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseToken } from '../../model/choose-token.ts';
import type { ChooseSettings } from '../../model/choose-token.ts';

/** Probabilities 0.1, 0.4, 0.2, 0.3. */
const logits = Float32Array.from([0.1, 0.4, 0.2, 0.3], Math.log);
const all: ChooseSettings = { temperature: 1, topK: 0, topP: 1 };

/** Which tokens come up when `uniform` runs from 0 to 1 in hundredths, and how often. */
function counts(settings: ChooseSettings): Record<number, number> {
  const drawn: Record<number, number> = {};
  for (let i = 0; i < 100; i++) {
    const token = chooseToken(logits, settings, (i + 0.5) / 100);
    drawn[token] = (drawn[token] ?? 0) + 1;
  }
  return drawn;
}

/** The plain way: everything sorted, and cut one rule after the other. */
function chosenBySorting(logits: Float32Array, settings: ChooseSettings, uniform: number): number {
  const top = Math.max(...logits);
  const sorted = Array.from(logits, (logit, token) => ({
    token,
    weight: Math.exp((logit - top) / settings.temperature),
  }));
  sorted.sort((a, b) => b.weight - a.weight || a.token - b.token);
  let kept = settings.topK > 0 ? sorted.slice(0, settings.topK) : sorted;
  const total = (of: typeof kept): number => of.reduce((sum, { weight }) => sum + weight, 0);
  const goal = settings.topP * total(kept);
  const enough = kept.findIndex((_, at) => total(kept.slice(0, at + 1)) >= goal);
  kept = kept.slice(0, enough < 0 ? undefined : enough + 1).filter(({ weight }) => weight >= (settings.minP ?? 0));
  let left = uniform * total(kept);
  return kept.find(({ weight }) => (left -= weight) < 0)?.token ?? kept[0]?.token ?? -1;
}

describe('chooseToken', () => {
  test('draws in proportion to the probabilities', () => {
    expect(counts(all)).toEqual({ 0: 10, 1: 40, 2: 20, 3: 30 });
  });

  test('takes the likeliest at temperature 0, the lower of two equals', () => {
    expect(counts({ ...all, temperature: 0 })).toEqual({ 1: 100 });
    expect(chooseToken(Float32Array.of(1, 5, 5), { ...all, temperature: 0 }, 0.99)).toBe(1);
  });

  test('sharpens with a low temperature', () => {
    // Squared: 1, 16, 4, 9 of 30.
    expect(counts({ ...all, temperature: 0.5 })).toEqual({ 0: 3, 1: 54, 2: 13, 3: 30 });
  });

  test('keeps to the k likeliest', () => {
    expect(counts({ ...all, topK: 2 })).toEqual({ 1: 57, 3: 43 });
    expect(counts({ ...all, topK: 99 })).toEqual(counts({ ...all, topK: 4 }));
  });

  test('keeps to the fewest that reach the share', () => {
    expect(counts({ ...all, topP: 0.75 })).toEqual({ 1: 44, 2: 22, 3: 34 });
    expect(counts({ ...all, topP: 0.01 })).toEqual({ 1: 100 });
  });

  test('cuts by k first, and the share of what is left', () => {
    expect(counts({ ...all, topK: 2, topP: 0.5 })).toEqual({ 1: 100 });
  });

  test('keeps to what is likely enough beside the likeliest', () => {
    expect(counts({ ...all, minP: 0.6 })).toEqual({ 1: 57, 3: 43 });
    expect(counts({ ...all, minP: 1 })).toEqual({ 1: 100 });
    expect(counts({ ...all, topK: 3, minP: 0.49 })).toEqual({ 1: 44, 2: 22, 3: 34 });
  });

  test('keeps exactly the tokens that sorting the whole vocabulary would keep', () => {
    const rows = fc.array(fc.double({ min: -40, max: 0, noNaN: true }), { minLength: 1, maxLength: 300 });
    const settings = fc.record({
      temperature: fc.double({ min: 0.3, max: 3, noNaN: true }),
      topK: fc.nat(40),
      topP: fc.double({ min: 0.01, max: 0.999, noNaN: true }),
      minP: fc.constantFrom(0, 0.01, 0.3),
    });
    const uniforms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(rows, settings, uniforms, (row, chosen, uniform) => {
        const logits = Float32Array.from(row);
        expect(chooseToken(logits, chosen, uniform)).toBe(chosenBySorting(logits, chosen, uniform));
      }),
    );
  });

  test('always gives a token of the vocabulary', () => {
    const settings = fc.record({
      temperature: fc.double({ min: 0, max: 5, noNaN: true }),
      topK: fc.nat(9),
      topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
    });
    const values = fc.float32Array({ minLength: 1, maxLength: 8, min: -50, max: 50, noNaN: true });
    const uniforms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(values, settings, uniforms, (row, chosen, uniform) => {
        const token = chooseToken(row, chosen, uniform);
        expect(Number.isInteger(token) && token >= 0 && token < row.length).toBe(true);
      }),
    );
  });
});
