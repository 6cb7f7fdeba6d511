import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnsweredPrompts } from '../../infra/answer-book/answered-prompts.ts';
import type { Position } from '../../operators/ports.ts';

const partition = { topic: 'prompts', partition: 0 };

function restored(position: Pick<Position, 'offset' | 'metadata'>): AnsweredPrompts {
  const answered = new AnsweredPrompts();
  answered.restore({ ...partition, ...position });
  return answered;
}

describe('AnsweredPrompts', () => {
  it('stands behind the last answer where all before it have one', () => {
    const answered = new AnsweredPrompts();
    for (const offset of [3, 4, 5]) answered.begin(offset);
    for (const offset of [3, 4]) answered.finish(offset);
    expect(answered.position()).toEqual({ offset: 5 });
    expect([2, 3, 4, 5, 6].map((offset) => answered.has(offset))).toEqual([true, true, true, false, false]);
  });

  it('stands at the first prompt without an answer, and says which others have none', () => {
    const answered = new AnsweredPrompts();
    for (const offset of [3, 4, 6, 7, 9]) answered.begin(offset);
    for (const offset of [7, 4]) answered.finish(offset);
    const position = answered.position();
    expect(position).toEqual({ offset: 3, metadata: '{"answeredTo":8,"open":[3,6]}' });
    expect([3, 4, 6, 7, 9].map((offset) => restored(position).has(offset))).toEqual([false, true, false, true, false]);
  });

  it('looks ahead without a change to itself', () => {
    const answered = new AnsweredPrompts();
    for (const offset of [0, 1, 2]) answered.begin(offset);
    expect(answered.with([1]).position()).toEqual({ offset: 0, metadata: '{"answeredTo":2,"open":[0]}' });
    expect(answered.with([0, 1, 2]).position()).toEqual({ offset: 3 });
    expect(answered.position()).toEqual({ offset: 0 });
  });

  it('says so when what was committed is not its own', () => {
    for (const metadata of ['junk', '{"open":[1]}']) {
      expect(() => restored({ offset: 1, metadata })).toThrow(expect.objectContaining({ code: 'state-invalid' }));
    }
  });

  it('answers every prompt once, in whatever order answers end and wherever the process dies', () => {
    const life = fc.record({
      /** Whose turn it is to end, and how many turns until the process dies. */
      turns: fc.array(fc.nat(), { maxLength: 30 }),
      /** How far behind what is committed the cut lies that the next life goes on from. */
      cutBack: fc.nat({ max: 12 }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 60 })), fc.array(life), (prompts, lives) => {
        const offsets = prompts.toSorted((a, b) => a - b);
        const answers: number[] = [];
        let committed: Pick<Position, 'offset' | 'metadata'> | null = null;
        for (const { turns, cutBack } of [...lives, { turns: Array.from({ length: 200 }, () => 0), cutBack: 0 }]) {
          const answered: AnsweredPrompts = committed ? restored(committed) : new AnsweredPrompts();
          // A cut is never beyond the first prompt without an answer, but may be long before it.
          const from = (committed?.offset ?? 0) - cutBack;
          const waiting = offsets.filter((offset) => offset >= from && !answered.has(offset));
          const begun: number[] = [];
          for (const turn of turns) {
            while (begun.length < 4 && waiting.length > 0) {
              const next = waiting.shift() ?? 0;
              answered.begin(next);
              begun.push(next);
            }
            const [ended] = begun.splice(turn % Math.max(1, begun.length), 1);
            if (ended === undefined) break;
            const position = answered.with([ended]).position();
            committed = position;
            answered.finish(ended);
            answers.push(ended);
            expect(answered.position()).toEqual(position);
            expect(position.metadata?.length ?? 0).toBeLessThan(100);
          }
        }
        expect(answers.toSorted((a, b) => a - b)).toEqual(offsets);
      }),
    );
  });
});
