import { describe, expect, it } from 'vitest';
import { ExamRoom } from '../../../pipelines/evaluation/exam-room.ts';
import { choicesBehind } from '../../../pipelines/evaluation/choice-item.ts';
import { Examiner } from '../../../pipelines/promotion/examiner.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';
import { ScoringSampler } from '../../support/scoring-sampler.ts';
import type { Likelihood } from '../../support/scoring-sampler.ts';

const CONTEXT = 8;
const weights = { id: '000000001', step: 1, path: 'weights' };
const ITEMS = [{ choices: choicesBehind('a', ['b', 'c']), answer: 0 }];
const PROMPT = {
  prompt: Int32Array.of(byteTokenizer.endOfText, 72, 105),
  maxTokens: 500,
  temperature: 0.8,
  topK: 0,
  topP: 1,
  seed: 1,
  stopTokens: [],
};

function roomWith(likelihood: Likelihood, opened: ScoringSampler[] = []): ExamRoom {
  return new ExamRoom(async (): Promise<ScoringSampler> => {
    const sampler = new ScoringSampler(likelihood);
    opened.push(sampler);
    return sampler;
  });
}

function examinerIn(room: ExamRoom): Examiner {
  return new Examiner({ room, tokenizer: byteTokenizer, maxContext: CONTEXT, cloze: ITEMS });
}

function examinerWith(likelihood: Likelihood, opened: ScoringSampler[] = []): Examiner {
  return examinerIn(roomWith(likelihood, opened));
}

function text(words: string): { key: string; text: string } {
  return { key: words, text: words };
}

describe('Examiner', () => {
  it('counts every byte of a text once, each behind as much as the context holds', async () => {
    const opened: ScoringSampler[] = [];
    const examiner = examinerWith(
      (token, before) => (before.length > 0 ? -Math.LN2 * (token % 2 ? 1 : 3) : NaN),
      opened,
    );
    const long = 'abcdefghijklmnopqrstuvwxyz'.repeat(3);
    const { results } = await examiner.examine(weights, [text(long), text('b')], []);
    expect(results).toMatchObject({ bytes: 79, items: 1 });
    expect(results?.bitsPerByte).toBeCloseTo((39 * 4 + 3) / 79, 12);
    const prompts = opened[0]?.scored.map(({ prompt }) => prompt.length) ?? [];
    expect(Math.max(...prompts)).toBe(CONTEXT - 1);
  });

  it('measures once what it is asked for again', async () => {
    const opened: ScoringSampler[] = [];
    const examiner = examinerWith(() => -1, opened);
    const first = await examiner.examine(weights, [text('one'), text('two')], []);
    const scored = opened[0]?.scored.length;
    expect(await examiner.examine(weights, [text('one'), text('two')], [])).toEqual(first);
    expect(opened[0]?.scored).toHaveLength(scored ?? 0);
    await examiner.examine(weights, [text('two'), text('three')], []);
    expect(opened[0]?.scored).toHaveLength((scored ?? 0) + 1);
    examiner.forgetAllBut(new Set());
    await examiner.examine(weights, [text('two')], []);
    expect(opened[0]?.loaded).toHaveLength(3);
    expect(opened).toHaveLength(1);
  });

  it('has live prompts answered, in few words', async () => {
    const { answers } = await examinerWith(() => -1).examine(weights, [], [PROMPT]);
    expect(answers).toEqual([{ prompt: 'Hi', answer: 'i' }]);
  });

  it('says what is wrong with weights that can not be used', async () => {
    const examiner = examinerWith(() => NaN);
    expect(await examiner.examine({ ...weights, path: 'bad' }, [], [])).toMatchObject({
      results: null,
      problem: expect.stringContaining('not finite'),
    });
    expect(await examiner.examine(weights, [text('one')], [])).toMatchObject({
      results: null,
      problem: expect.stringContaining('not finite'),
    });
  });

  it('rejects where the process dies, and begins the next exam with another one', async () => {
    const opened: ScoringSampler[] = [];
    const room = roomWith(() => -1, opened);
    const examiner = examinerIn(room);
    await expect(examiner.examine({ ...weights, path: 'dead' }, [], [])).rejects.toThrow('SIGKILL');
    expect((await examiner.examine(weights, [], [])).problem).toBeNull();
    expect(opened.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    await room.close();
    await expect(examiner.examine(weights, [text('one')], [])).rejects.toThrow('closed');
    expect(opened.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  });
});
