import { expect, test } from 'vitest';
import { compare } from '../../../pipelines/redeploy/shadow/comparison.ts';
import { NO_VITALS } from '../../../pipelines/redeploy/watch/vital-signs.ts';
import type { Vitals } from '../../../pipelines/redeploy/watch/vital-signs.ts';
import { worse } from '../../../pipelines/redeploy/watch/worse.ts';
import { withBars } from '../../../pipelines/spec/deploy.ts';

const BEFORE: Vitals = {
  ...NO_VITALS,
  steps: 100,
  bits: 2000,
  bytes: 1000,
  busyTokens: 50_000,
  busyMs: 5000,
  records: 500,
  lag: 10,
};

test.each<[what: string, change: Partial<Vitals>, isOver: boolean, says: string]>([
  ['as before', {}, true, 'no reason'],
  ['more bits per byte', { bits: 2300 }, false, '2.300 bits per byte, 2.000 before'],
  ['few more bits per byte', { bits: 2199 }, true, 'no reason'],
  ['more bits per byte over too few steps', { bits: 2300, steps: 19 }, true, 'no reason'],
  ['dead letters', { deadLetters: 6 }, false, '1.2 % dead letters'],
  ['as many dead letters as may be', { deadLetters: 5 }, false, 'no reason'],
  ['dead letters among too few records', { deadLetters: 6, records: 40 }, false, 'no reason'],
  ['started again', { restarts: 1 }, false, 'had to be started again'],
  ['slow, at the end', { busyMs: 11_000 }, true, '4545 tokens/s, 10000 before'],
  ['slow at first', { busyMs: 11_000 }, false, 'no reason'],
  ['slow where there was nothing to train', { busyMs: 900, busyTokens: 1 }, true, 'no reason'],
  ['a lag', { lag: 2001 }, true, 'a lag of 2001 records'],
  ['a lag that is nobody’s worry', { lag: 2000 }, true, 'no reason'],
  ['no step', { steps: 0 }, true, 'no reason'],
])('%s', (_, change, isOver, says) => {
  const reason = worse(withBars(), BEFORE, { ...BEFORE, ...change }, { isOver });
  expect(reason ?? 'no reason').toContain(says);
});

test('bars may be set', () => {
  const now = { ...BEFORE, bits: 2100 };
  expect(worse(withBars(undefined, { bitsPerByte: 1.04 }), BEFORE, now, { isOver: false })).toContain('1.04 times');
});

test('dead letters that the graph before made, too, are not held against the new one', () => {
  const before = { ...BEFORE, deadLetters: 100 };
  expect(worse(withBars(), before, { ...BEFORE, deadLetters: 104 }, { isOver: true })).toBeNull();
});

test('a candidate is better, alike or worse on the same records, however few; one that fails is worse', () => {
  const few = { ...BEFORE, steps: 2 };
  expect(compare(withBars(), few, { ...few, bits: 1999 }, null)).toMatchObject({ verdict: 'better', reason: null });
  expect(compare(withBars(), few, few, null)).toMatchObject({ verdict: 'alike', running: { bitsPerByte: 2 } });
  expect(compare(withBars(), few, { ...few, bits: 2300 }, null).verdict).toBe('worse');
  expect(compare(withBars(), few, NO_VITALS, null)).toMatchObject({ verdict: 'worse', reason: 'it trained no step' });
  expect(compare(withBars(), few, NO_VITALS, 'it failed: no').reason).toBe('it failed: no');
});
