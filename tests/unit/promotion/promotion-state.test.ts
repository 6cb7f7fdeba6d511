import { describe, expect, it } from 'vitest';
import { demotedByHand, promotedByHand } from '../../../pipelines/promotion/by-hand.ts';
import type { Results } from '../../../pipelines/promotion/judge.ts';
import {
  NOTHING_DECIDED,
  promotionStateSchema,
  settled,
  skipped,
} from '../../../pipelines/promotion/promotion-state.ts';
import type { Findings, PromotionState } from '../../../pipelines/promotion/promotion-state.ts';

const RULES = { bars: { margin: 0.02, passRate: 0 }, fallBackAfter: 2 };

function results(bitsPerByte: number): Results {
  return { bitsPerByte, bytes: 100, passRate: null, items: 0 };
}

function resultsOf(bits: number | null): Results | null {
  return bits === null ? null : results(bits);
}

/** Refuses 300 snapshots, one after the other. */
function refuseMany(state: PromotionState): PromotionState {
  return Array.from({ length: 300 }, (_, index) => index + 1).reduce((before, step) => exam(before, step, null), state);
}

/** Bits per byte of candidate, champion and its predecessor; null for none, and for a candidate that can't be used. */
function exam(
  state: PromotionState,
  step: number,
  candidate: number | null,
  champion: number | null = null,
  predecessor: number | null = null,
): PromotionState {
  const findings: Findings = {
    candidate: { id: String(step).padStart(9, '0'), step },
    results: resultsOf(candidate),
    problem: candidate === null ? 'a value is not finite' : null,
    answers: [],
    champion: resultsOf(champion),
    predecessor: resultsOf(predecessor),
  };
  return settled(state, findings, RULES, step);
}

function told({ decisions }: PromotionState): string[] {
  return decisions.map(({ verdict, by, snapshot, champion }) => {
    return `${verdict} ${snapshot.step} by ${by}, ${champion?.step ?? 'nobody'} speaks`;
  });
}

describe('what is decided', () => {
  it('promotes what is better, refuses what is worse or can not be used, and counts decisions', () => {
    let state = exam(NOTHING_DECIDED, 1, 8);
    state = exam(state, 2, null, 8);
    state = exam(state, 3, 3, 8);
    state = exam(state, 4, 3.5, 3, 8);
    expect(told(state)).toEqual([
      'promoted 1 by rule, 1 speaks',
      'refused 2 by rule, 1 speaks',
      'promoted 3 by rule, 3 speaks',
      'refused 4 by rule, 3 speaks',
    ]);
    expect(state.decisions.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3]);
    expect(state.decisions[1]?.reasons).toEqual(['a value is not finite']);
    expect(state).toMatchObject({ sequence: 4, decidedTo: '000000004', line: [{ step: 1 }] });
    expect(promotionStateSchema.parse(JSON.parse(JSON.stringify(state)))).toEqual(state);
  });

  it('refuses the first snapshot that can not be used, and waits for another', () => {
    const state = exam(exam(NOTHING_DECIDED, 1, null), 2, 8);
    expect(told(state)).toEqual(['refused 1 by rule, nobody speaks', 'promoted 2 by rule, 2 speaks']);
  });

  it('falls back after a run of results that are worse than those of the champion before, not after single ones', () => {
    let state = exam(exam(NOTHING_DECIDED, 1, 5), 2, 3, 5);
    state = exam(state, 3, 9, 5, 4);
    state = exam(state, 4, 9, 3, 4);
    expect(state.worse).toBe(0);
    state = exam(state, 5, 9, 5, 4);
    expect(state.worse).toBe(1);
    state = exam(state, 6, 9, 5, 4);
    expect(told(state).slice(-2)).toEqual(['demoted 2 by rule, 1 speaks', 'refused 6 by rule, 1 speaks']);
    expect(state).toMatchObject({ champion: { step: 1 }, line: [], worse: 0 });
  });

  it('does not let a champion that does worse than the one before lower the bar', () => {
    const state = promotedByHand(exam(NOTHING_DECIDED, 1, 2), { id: '000000002', step: 2 });
    expect(told(exam(state, 3, 5, 6, 2)).at(-1)).toBe('refused 3 by rule, 2 speaks');
    expect(told(exam(state, 3, 1.9, 6, 2)).at(-1)).toBe('promoted 3 by rule, 3 speaks');
  });

  it('never falls back where the graph says so', () => {
    const state = promotedByHand(exam(NOTHING_DECIDED, 1, 2), { id: '000000002', step: 2 });
    const findings = { candidate: { id: '3', step: 3 }, results: results(9), problem: null, answers: [] };
    const rivals = { champion: results(9), predecessor: results(2) };
    const settle = (from: PromotionState): PromotionState =>
      settled(from, { ...findings, ...rivals }, { ...RULES, fallBackAfter: 0 }, 1);
    expect(settle(settle(settle(state)))).toMatchObject({ champion: { step: 2 }, worse: 3 });
  });

  it('notes those that a newer one has overtaken', () => {
    const state = skipped(NOTHING_DECIDED, [{ id: '000000001', step: 1 }], 1);
    expect(told(exam(state, 2, 8))).toEqual(['skipped 1 by rule, nobody speaks', 'promoted 2 by rule, 2 speaks']);
  });

  it('keeps the newest decisions, and all that the webhook has not been told of', () => {
    const [first] = refuseMany(NOTHING_DECIDED).decisions;
    expect(first?.sequence).toBe(100);
    expect(refuseMany({ ...NOTHING_DECIDED, toTell: 0 }).decisions).toHaveLength(300);
  });
});

describe('by hand', () => {
  it('promotes and demotes, and goes back through the line of champions', () => {
    let state = exam(exam(exam(NOTHING_DECIDED, 1, 5), 2, 4, 5), 3, 3, 4, 5);
    state = promotedByHand(state, { id: '000000001', step: 1 });
    expect(state).toMatchObject({ champion: { step: 1 }, line: [{ step: 2 }, { step: 3 }] });
    state = demotedByHand(demotedByHand(state));
    expect(told(state).slice(-2)).toEqual(['demoted 1 by hand, 3 speaks', 'demoted 3 by hand, 2 speaks']);
    expect(() => demotedByHand(state)).toThrow('no champion before');
  });

  it('refuses what changes nothing', () => {
    const state = exam(NOTHING_DECIDED, 1, 5);
    expect(() => promotedByHand(state, { id: '000000001', step: 1 })).toThrow('speaks already');
    expect(() => demotedByHand(NOTHING_DECIDED)).toThrow('No snapshot has been promoted yet');
  });
});
