import { describe, expect, it } from 'vitest';
import { AnswerParts, GENERATIONS, GENERATIONS_LIVE } from '../../pipelines/topics/answer-parts.ts';
import type { PublishedDelta } from '../../pipelines/topics/published.ts';

function part(index: number, text: string, finish: PublishedDelta['finish'] = null, id = 'w1'): PublishedDelta {
  return { event: 'generation', id: 'a', index, text, finish, weights: { id, step: 1 } };
}

const [one, two, end] = [part(0, 'one '), part(1, 'two '), part(2, 'end', 'stop')];

function shownOf(parts: readonly (readonly [string, PublishedDelta])[]): string[] {
  const answer = new AnswerParts();
  return parts.map(([topic, each]) =>
    answer
      .push(topic, each)
      .map(({ text }) => text)
      .join(''),
  );
}

const live = (each: PublishedDelta): readonly [string, PublishedDelta] => [GENERATIONS_LIVE, each];
const committed = (each: PublishedDelta): readonly [string, PublishedDelta] => [GENERATIONS, each];

describe('AnswerParts', () => {
  it('shows parts as they are made, and not again when they are committed', () => {
    const parts = [live(one), live(two), live(end), committed(one), committed(two), committed(end)];
    expect(shownOf(parts)).toEqual(['one ', 'two ', 'end', '', '', '']);
  });

  it('shows of what is committed what was not seen while it was made', () => {
    expect(shownOf([live(one), committed(one), committed(two), committed(end), live(two)])).toEqual([
      'one ',
      '',
      'two ',
      'end',
      '',
    ]);
  });

  it('begins again when the answer has become another, from its first part', () => {
    const other = part(1, 'other', 'length', 'w2');
    expect(shownOf([live(one), live(two), live(one), live(other), committed(one), committed(other)])).toEqual([
      'one ',
      'two ',
      '',
      'one other',
      '',
      '',
    ]);
  });

  it('corrects what was made by what was committed', () => {
    const sooner = part(1, 'two ', 'stop');
    expect(shownOf([live(one), live(two), live(end), committed(one), committed(sooner)])).toEqual([
      'one ',
      'two ',
      'end',
      '',
      'one two ',
    ]);
  });

  it('shows nothing of an answer whose beginning was not seen', () => {
    expect(shownOf([live(two), live(end), live(one), live(two)])).toEqual(['', '', 'one ', 'two ']);
  });
});
