import { expect, test } from 'vitest';
import {
  VitalSigns,
  bitsPerByte,
  deadLetterRate,
  tokensPerSecond,
} from '../../../pipelines/redeploy/watch/vital-signs.ts';
import { stepReport } from '../../support/step-report.ts';

test('sums up steps, and takes the time only of those that had not to wait for text', () => {
  const signs = new VitalSigns();
  signs.step(stepReport, true, 0);
  signs.step(stepReport, false, 10);
  signs.step(stepReport, true, 5010);
  signs.step(stepReport, true, 5020);
  expect(signs.all).toMatchObject({ steps: 4, bits: 400, bytes: 200, records: 16, busyTokens: 200, busyMs: 20 });
  expect([bitsPerByte(signs.all), tokensPerSecond(signs.all)]).toEqual([2, 10_000]);
});

test('steps without a finite loss are no steps, their dead letters count, and a pause is not the time of a step', () => {
  const signs = new VitalSigns();
  signs.step(stepReport, true, 0);
  signs.deadLetter();
  signs.step({ ...stepReport, skipped: true, loss: NaN }, true, 10);
  signs.restarted();
  signs.step(stepReport, true, 9000);
  signs.lagging(7);
  expect(signs.all).toMatchObject({ steps: 2, bits: 200, busyMs: 10, deadLetters: 1, restarts: 1, lag: 7 });
  expect(deadLetterRate(signs.all)).toBe(1 / 12);
});

test('the newest steps are two hundred, and what begins anew goes on from what is known of it', () => {
  const signs = new VitalSigns();
  for (let step = 0; step < 300; step++) signs.step(stepReport, true, step);
  expect([signs.newest.steps, signs.all.steps]).toEqual([200, 300]);
  const known = signs.all;
  signs.begin(known);
  signs.step(stepReport, true, 9000);
  expect([signs.newest.steps, signs.all.steps, signs.newest.busyMs]).toEqual([1, 301, 0]);
});

test('a stream is alive where it trains or has nothing to, and not before its first step', () => {
  const signs = new VitalSigns();
  expect(signs.isAlive(0)).toBe(false);
  let isWaiting = false;
  signs.flows(() => isWaiting);
  expect(signs.isAlive(0)).toBe(true);
  isWaiting = true;
  expect(signs.isAlive(0)).toBe(false);
  signs.step(stepReport, true, 1000);
  expect([signs.isAlive(30_000), signs.isAlive(31_000)]).toEqual([true, false]);
  signs.interrupted();
  expect(signs.isAlive(1000)).toBe(false);
});
