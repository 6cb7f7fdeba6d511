import { describe, expect, test } from 'vitest';
import { adjustLogits } from '../../model/adjust-logits.ts';
import { logProbabilities } from '../../model/log-probabilities.ts';

const logits = Float32Array.of(2, -2, 1, 0.5);
/** The prompt is token 0; the answer says token 1 once and token 2 twice. */
const said = { tokens: [0, 1, 2, 2], promptLength: 1 };

describe('adjustLogits', () => {
  test.each([
    ['nothing', {}, [2, -2, 1, 0.5]],
    ['a repetition penalty, of the prompt and the answer', { repetitionPenalty: 2 }, [1, -4, 0.5, 0.5]],
    ['a frequency penalty, for each time in the answer', { frequencyPenalty: 0.25 }, [2, -2.25, 0.5, 0.5]],
    ['a presence penalty, once', { presencePenalty: 0.25 }, [2, -2.25, 0.75, 0.5]],
    ['biases', { logitBias: { 0: -100, 3: 1 } }, [-98, -2, 1, 1.5]],
    [
      'all of them',
      { repetitionPenalty: 2, frequencyPenalty: 1, presencePenalty: 1, logitBias: { 2: 3 } },
      [1, -6, 0.5, 0.5],
    ],
  ])('takes off %s', (_, settings, expected) => {
    expect([...adjustLogits(logits, settings, said)]).toEqual(expected);
    expect([...logits]).toEqual([2, -2, 1, 0.5]);
  });
});

describe('logProbabilities', () => {
  test('are those of the softmax, with the likeliest first', () => {
    const probabilities = [0.1, 0.4, 0.2, 0.3];
    const { token, logProbability, top } = logProbabilities(Float32Array.from(probabilities, Math.log), 2, 2);
    expect([token, Math.exp(logProbability)]).toEqual([2, expect.closeTo(0.2)]);
    expect(top.map((each) => each.token)).toEqual([1, 3]);
    expect(top.map((each) => Math.exp(each.logProbability))).toEqual([expect.closeTo(0.4), expect.closeTo(0.3)]);
  });

  test('are finite for logits of any size', () => {
    expect(logProbabilities(Float32Array.of(1000, 0), 1, 0)).toEqual({ token: 1, logProbability: -1000, top: [] });
  });
});
