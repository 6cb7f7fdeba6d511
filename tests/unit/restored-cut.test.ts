import { expect, test } from 'vitest';
import type { Checkpoint, Snapshot } from '../../operators/index.ts';
import { reachedIn, requireOwners } from '../../pipelines/job/restored-cut.ts';
import { Progress } from '../../pipelines/job/progress.ts';
import { kinds } from '../../pipelines/spec/registry.ts';
import type { Step } from '../../pipelines/spec/graph.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { stepReport } from '../support/step-report.ts';

const TOTALS = { tokens: 512, bytes: 1024, bits: 2048 };
const POSITIONS = [{ topic: 'text', partition: 0, offset: 2 }];
const READINGS = [{ topic: 'text', partition: 0, offset: 2, from: 2 }];
const STEPS = [step('text', 'ingest'), step('pack', 'batch'), step('train', 'trainStep')];

const cut: Checkpoint = {
  id: '000000003',
  reason: 'timer',
  createdAtMs: 0,
  bytes: 0,
  path: '',
  states: new Map<string, Snapshot>([
    ['text', { state: { positions: POSITIONS, ledger: 0, played: 0, lastRun: null } }],
    ['pack', { state: {} }],
    ['train', { state: { step: 7, totals: TOTALS, waiting: [], trainer: null } }],
  ]),
};

function step(uid: string, kindName: string): Step {
  const kind = kinds.find((each) => each.kind === kindName);
  if (!kind) throw new Error(`no kind ${kindName}`);
  return { uid, kind, config: {} };
}

test('says how far a cut was', () => {
  expect(reachedIn(cut, STEPS)).toMatchObject({ step: 7, totals: TOTALS });
  expect(reachedIn(null, STEPS)).toBeNull();
});

test('refuses a cut with state that no operator would take, and takes one that lacks a new operator', () => {
  expect(() => requireOwners(cut, 'learn', STEPS)).not.toThrow();
  expect(() => requireOwners(cut, 'learn', [...STEPS, step('metrics', 'publish')])).not.toThrow();
  const renamed = [step('text', 'ingest'), step('packer', 'batch'), step('train', 'trainStep')];
  expect(() => requireOwners(cut, 'learn', renamed)).toThrow(
    expect.objectContaining({ code: 'checkpoint-incompatible', message: expect.stringContaining('"pack"') }),
  );
});

test('counts the lag, steps and totals of a job on from its cut, and from nothing when there is none', async () => {
  const log = new MemoryLog();
  await log.createTopic('text');
  await log.produce('text', [{ value: 'a' }, { value: 'b' }, { value: 'c' }]);
  const progress = new Progress(log);
  progress.goOnFrom(reachedIn(cut, STEPS));
  expect(await progress.refreshLag(READINGS)).toBe(true);
  expect(await progress.refreshLag(READINGS)).toBe(false);
  expect(progress.reached).toMatchObject({ step: 7, totals: TOTALS });
  expect(progress.lags).toEqual([{ topic: 'text', partition: 0, offset: 2, end: 3, lag: 1 }]);
  progress.goOnFrom(null);
  await progress.refreshLag([{ topic: 'text', partition: 0, offset: 0, from: 0 }]);
  expect(progress.reached.step).toBe(0);
  expect(progress.lag).toBe(3);
});

test('says what the weights of a cut, and of a run, have seen', () => {
  const progress = new Progress(new MemoryLog());
  const seen = { watermark: { 'text/0': 2, 'text/1': 9 }, textAtMs: 50 };
  const states = new Map(cut.states).set('train', {
    state: { step: 7, totals: TOTALS, seen, waiting: [], trainer: null },
  });
  const reached = reachedIn({ ...cut, states }, STEPS);
  progress.goOnFrom(reached);
  expect(progress.weightsAt(reached)).toEqual({ step: 7, seen: seen.watermark, textAtMs: 50 });
  const spans = [{ topic: 'text', partition: 0, from: 2, to: 4 }];
  progress.step({ ...stepReport, step: 8, totals: TOTALS, spans, timestampMs: 60 });
  const watermark = { 'text/0': 4, 'text/1': 9 };
  expect(progress.weightsAt(progress.reached)).toEqual({
    step: 8,
    seen: watermark,
    textAtMs: 60,
    trainedAtMs: expect.any(Number),
  });
  // A cut whose storing took longer than the next step.
  expect(progress.weightsAt(reached)).not.toHaveProperty('trainedAtMs');
  progress.goOnFrom(reachedIn(cut, STEPS));
  expect(progress.weightsAt(progress.reached)).toEqual({ step: 7, seen: {} });
});
