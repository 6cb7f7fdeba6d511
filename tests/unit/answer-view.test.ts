import { beforeEach, describe, expect, it } from 'vitest';
import { AnswerView } from '../../pipelines/terminal/answer-view.ts';
import type { PublishedDelta } from '../../pipelines/topics/published.ts';

const PLAIN = { dim: (text: string) => text, bold: (text: string) => text, warn: (text: string) => text };

function delta(id: string, index: number, text: string, finish: PublishedDelta['finish'] = null): PublishedDelta {
  return { event: 'generation', id, index, text, finish, weights: { id: '000000001', step: 7 } };
}

describe('answers on a terminal', () => {
  let nowMs: number;
  let view: AnswerView;

  beforeEach(() => {
    nowMs = 0;
    view = new AnswerView(PLAIN, { nowMs: () => nowMs });
  });

  it('name the prompt once, and stream', () => {
    expect(view.push(delta('a', 0, 'Of'))).toBe('a (step 7)\nOf');
    expect(view.push(delta('a', 1, ' the'))).toBe(' the');
    expect(view.push(delta('a', 2, ' Union', 'stop'))).toBe(' Union\n\n');
  });

  it('follow one another whole when they come mingled', () => {
    view.push(delta('a', 0, 'A'));
    expect(view.push(delta('b', 0, 'B'))).toBe('');
    expect(view.push(delta('b', 1, 'b'))).toBe('');
    expect(view.push(delta('a', 1, 'a', 'length'))).toBe('a\n\nb (step 7)\nBb');
    expect(view.push(delta('b', 2, '.', 'length'))).toBe('.\n\n');
  });

  it('let others speak when one falls silent, and go on later', () => {
    view.push(delta('a', 0, 'A'));
    view.push(delta('b', 0, 'B'));
    nowMs += 6000;
    expect(view.idle()).toBe('\n\nb (step 7)\nB');
    expect(view.push(delta('b', 1, '', 'stop'))).toBe('\n\n');
    expect(view.push(delta('a', 1, 'a'))).toBe('a (step 7, goes on)\na');
  });

  it('begin again when the job was restarted', () => {
    view.push(delta('a', 0, 'Old'));
    expect(view.push(delta('a', 0, 'New'))).toBe('\n\na (step 7, begins again)\nNew');
  });

  it('say that their begin was missed', () => {
    expect(view.push(delta('a', 5, 'mid'))).toBe('a (step 7, goes on)\nmid');
  });

  it('show all that still waits at the end', () => {
    view.push(delta('a', 0, 'A'));
    view.push(delta('b', 0, 'B'));
    expect(view.close()).toBe('\n\nb (step 7)\nB\n\n');
    expect(view.close()).toBe('');
  });

  it('cannot command the terminal', () => {
    expect(view.push(delta('a', 0, '\u001b[31m\u0007\u009b\r\n'))).toBe('a (step 7)\n␛[31m␇␡\n');
  });
});
