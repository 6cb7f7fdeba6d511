import { describe, expect, it } from 'vitest';
import { judge } from '../../../pipelines/promotion/judge.ts';
import type { Results } from '../../../pipelines/promotion/judge.ts';
import type { Bars } from '../../../pipelines/spec/promote.ts';

const bars: Bars = { margin: 0.02, passRate: 0.5, bitsPerByte: 4 };

/** Undefined stands for what was not measured. */
function results(bitsPerByte?: number, passRate?: number): Results {
  return { bitsPerByte: bitsPerByte ?? null, bytes: 100, passRate: passRate ?? null, items: 3 };
}

describe('judge', () => {
  it.each([
    ['the first snapshot, for whom only the absolute bars stand', results(3, 1), [], true],
    ['one that is better than the champion', results(1.9, 1), [results(2, 0)], true],
    ['one that is worse within the margin', results(2.02, 1), [results(2, 1)], true],
    ['one that is worse beyond the margin', results(2.03, 1), [results(2, 1)], false],
    [
      'one that is worse than a predecessor whom the champion does not match',
      results(2.5, 1),
      [results(3, 1), results(2, 1)],
      false,
    ],
    ['one that is better than both', results(1.5, 1), [results(3, 1), results(2, 1)], true],
    ['one above the bits per byte that are allowed', results(4.1, 1), [], false],
    ['one that gets just enough items right', results(2, 0.5), [], true],
    ['one that gets too few items right', results(2, 0.49), [], false],
    ['one without text to be examined by', results(undefined, 1), [results(2, 1)], true],
    ['one without items', results(2, undefined), [], true],
    ['one whose champion was not measured', results(3, 1), [results(undefined, 1)], true],
  ])('%s', (_what, candidate, rivals, passes) => {
    const judgement = judge(candidate, rivals, bars);
    expect(judgement.passes).toBe(passes);
    expect(judgement.reasons.length).toBeGreaterThan(0);
  });

  it('says every bar that was not cleared', () => {
    expect(judge(results(5, 0), [results(2, 1)], bars).reasons).toEqual([
      '5.000 bits per byte, where 4.000 are allowed',
      '5.000 bits per byte, after 2.000 (margin 0.02)',
      '0 % of the cloze items right, where 50 % are wanted',
    ]);
  });
});
