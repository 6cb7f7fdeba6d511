import { EMPTY, Observable, Subject, from, lastValueFrom, take, toArray } from 'rxjs';
import type { Subscription } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Element } from '../../../operators/flow.ts';
import { trainStep, trainStepKind } from '../../../operators/train-step.ts';
import type { TrainStepOptions } from '../../../operators/train-step.ts';
import type { Trainer } from '../../../operators/ports.ts';
import type { StepReport, TokenBatch } from '../../../operators/types.ts';
import { TestSource, asStored, valuesOf } from '../../support/elements.ts';
import { fakeTrainer } from '../../support/fakes.ts';
import { ManualTrainer } from '../../support/manual-model.ts';
import { marbles } from '../../support/marbles.ts';
import { MemoryDeadLetters, deadLettersThatFail } from '../../support/memory-stores.ts';
import { Deferred, settle } from '../../support/settle.ts';
import { smallBatch } from '../../support/token-batch.ts';

/** A batch whose first id tells it from others. */
function batchOf(id: number): TokenBatch {
  return smallBatch(id, 2);
}

/** An operator at work on a subject, with all that came out of it as short words. */
class Bench {
  readonly source = new TestSource();
  readonly input = new Subject<Element<TokenBatch>>();
  readonly seen: string[] = [];
  readonly errors: unknown[] = [];
  readonly reports: StepReport[] = [];
  readonly subscription: Subscription;

  constructor(trainer: Trainer, options: TrainStepOptions = {}) {
    this.subscription = this.input.pipe(trainStep(trainer, options)).subscribe({
      next: (element) => {
        if (element.kind === 'item') this.reports.push(element.value);
        this.seen.push(element.kind === 'item' ? `step ${element.value.step}` : element.kind);
      },
      error: (error: unknown) => this.errors.push(error),
      complete: () => this.seen.push('complete'),
    });
  }

  give(...elements: readonly Element<TokenBatch>[]): void {
    for (const element of elements) this.input.next(element);
  }

  batches(...ids: readonly number[]): void {
    for (const id of ids) this.give(this.source.taken(batchOf(id), 100));
  }
}

/** A bench whose trainer has been restored. */
async function readyBench(trainer: ManualTrainer, options: TrainStepOptions = {}): Promise<Bench> {
  const bench = new Bench(trainer, options);
  bench.give(bench.source.restore());
  trainer.restored.resolve();
  await settle();
  return bench;
}

function waitingIds(states: ReadonlyMap<string, unknown>): unknown {
  const stored: { state: { waiting: { ids: number[] }[] } } = JSON.parse(JSON.stringify(states.get('train')));
  return stored.state.waiting.map(({ ids }) => ids[0]);
}

describe('trainStep', () => {
  it('reports each step, from the loss before its update, with sums over the life of the job', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer);
    bench.batches(1, 2);
    await trainer.finish({ loss: Math.LN2, tokens: 4 });
    await trainer.finish({ loss: Math.LN2, tokens: 2 });
    expect(bench.reports).toEqual([
      {
        event: 'step',
        step: 1,
        loss: Math.LN2,
        bitsPerByte: 0.5,
        gradNorm: 2,
        lr: 0.5,
        tokens: 4,
        bytes: 8,
        totals: { tokens: 4, bytes: 8, bits: 4 },
        skipped: false,
        fault: null,
        attempt: 1,
        spans: [{ topic: 'text', partition: 0, from: 1, to: 3 }],
        timestampMs: 1,
      },
      expect.objectContaining({ step: 2, bitsPerByte: 0.25, totals: { tokens: 6, bytes: 16, bits: 6 } }),
    ]);
    expect(bench.seen).toEqual(['restore', 'step 1', 'step 2']);
  });

  it('keeps as many steps under way as it may, and reports them in order', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer, { depth: 2 });
    bench.batches(1, 2, 3);
    expect(trainer.steps.map(({ batch }) => batch.ids[0])).toEqual([1, 2]);
    const [first, second] = trainer.steps.splice(0);
    const result = {
      loss: 1,
      losses: Float32Array.of(1, 1),
      gradNorm: 1,
      lr: 1,
      tokens: 1,
      skipped: false,
      fault: null,
    };
    second?.outcome.resolve({ ...result, step: 2 });
    await settle();
    expect(bench.seen).toEqual(['restore']);
    first?.outcome.resolve({ ...result, step: 1 });
    await settle();
    expect(bench.seen).toEqual(['restore', 'step 1', 'step 2']);
    expect(trainer.steps.map(({ batch }) => batch.ids[0])).toEqual([3]);
  });

  it("gives a batch's bytes back when its step is done", async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer);
    bench.batches(1, 2);
    expect(bench.source.window.inFlightBytes).toBe(200);
    await trainer.finish();
    expect(bench.source.window.inFlightBytes).toBe(100);
    await trainer.finish();
    expect(bench.source.window.inFlightBytes).toBe(0);
  });

  it('completes behind the last step', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer);
    bench.batches(1);
    bench.input.complete();
    await settle();
    expect(bench.seen).toEqual(['restore']);
    await trainer.finish();
    expect(bench.seen).toEqual(['restore', 'step 1', 'complete']);
  });

  it('completes at once when there is nothing, errs with its source, and lets go of it', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const operator = trainStep(new ManualTrainer());
      expectObservable(cold<Element<TokenBatch>>('--|').pipe(operator)).toBe('--|');
      const failing = cold<Element<TokenBatch>>('--#');
      expectObservable(failing.pipe(operator)).toBe('--#');
      expectSubscriptions(failing.subscriptions).toBe('^-!');
      const source = new TestSource();
      const flow = cold<Element<TokenBatch>>('t--t', { t: source.tick(1) });
      expectObservable(flow.pipe(operator), '^-!').toBe('t--', { t: source.tick(1) });
      expectSubscriptions(flow.subscriptions).toBe('^-!');
    });
  });

  it('stops listening to a source that emits in one go', () => {
    let emitted = 0;
    const tick = new TestSource().tick(1);
    const endless = new Observable<Element<TokenBatch>>((subscriber) => {
      for (; !subscriber.closed && emitted < 100; emitted++) subscriber.next(tick);
    });
    endless.pipe(trainStep(new ManualTrainer()), take(3)).subscribe();
    expect(emitted).toBeLessThan(10);
  });

  it('is silent after unsubscribing, whatever the step under way comes to', async () => {
    const trainer = new ManualTrainer();
    const deadLetters = new MemoryDeadLetters();
    const bench = await readyBench(trainer, { deadLetters });
    bench.batches(1, 2, 3);
    bench.subscription.unsubscribe();
    await trainer.finish({ skipped: true, fault: 'non-finite-loss' });
    trainer.steps[0]?.outcome.reject(new Error('nobody listens'));
    await settle();
    expect([bench.seen, bench.errors, deadLetters.letters]).toEqual([['restore'], [], []]);
    expect(trainer.calls).toEqual(['restore null', 'step', 'step']);
    expect(bench.input.observed).toBe(false);
  });

  it("ends with the trainer's error, of a step, a snapshot or a restore, thrown or rejected", async () => {
    const failing = new ManualTrainer();
    const bench = await readyBench(failing);
    bench.batches(1, 2);
    failing.steps[0]?.outcome.reject(new Error('died'));
    await settle();
    expect([bench.errors, bench.input.observed]).toEqual([[new Error('died')], false]);

    const cut = await readyBench(failing);
    cut.give(cut.source.barrier());
    failing.snapshots[0]?.reject(new Error('no space'));
    await settle();
    expect(cut.errors).toEqual([new Error('no space')]);

    const broken: Trainer = {
      ...fakeTrainer(),
      step: () => {
        throw new Error('thrown');
      },
    };
    const thrown = new Bench(broken);
    thrown.give(thrown.source.restore());
    thrown.batches(1);
    await settle(3);
    expect(thrown.errors).toEqual([new Error('thrown')]);

    const junk = new Bench(fakeTrainer());
    junk.give(junk.source.restore({ train: { state: 'junk' } }));
    await settle();
    expect(junk.errors).toEqual([expect.objectContaining({ code: 'state-invalid' })]);
  });

  it('puts the records of a step that was undone to the dead letters, and leaves it out of the sums', async () => {
    const trainer = new ManualTrainer();
    const deadLetters = new MemoryDeadLetters();
    const bench = await readyBench(trainer, { deadLetters });
    bench.batches(5);
    await trainer.finish({ loss: NaN, skipped: true, fault: 'non-finite-loss' });
    expect(bench.reports).toEqual([
      expect.objectContaining({ skipped: true, totals: { tokens: 0, bytes: 0, bits: 0 } }),
    ]);
    expect(deadLetters.letters.map(({ at, code }) => [at.offset, code])).toEqual([
      [5, 'non-finite-loss'],
      [6, 'non-finite-loss'],
    ]);
    expect(bench.source.window.inFlightBytes).toBe(0);
  });

  it('ends without reporting when a dead letter cannot be written', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer, { deadLetters: deadLettersThatFail });
    bench.batches(5);
    await trainer.finish({ skipped: true, fault: 'non-finite-loss' });
    expect(bench.seen).toEqual(['restore']);
    expect(bench.errors).toEqual([expect.objectContaining({ code: 'dead-letter-failed' })]);
  });

  it('shares nothing between two subscriptions', async () => {
    const source = new TestSource();
    const trainer = fakeTrainer();
    const output = from([source.restore(), source.item(batchOf(1))]).pipe(trainStep(trainer), toArray());
    const [first] = valuesOf(await lastValueFrom(output));
    const [again] = valuesOf(await lastValueFrom(output));
    expect(again).toEqual(first);
  });

  it('does nothing with an empty flow', async () => {
    expect(await lastValueFrom(EMPTY.pipe(trainStep(new ManualTrainer()), toArray()))).toEqual([]);
  });
});

describe('trainStep at a barrier', () => {
  it('lets it overtake the batches that wait, behind the steps under way', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer);
    const barrier = bench.source.barrier();
    bench.batches(1, 2, 3, 4);
    bench.give(barrier);
    await trainer.finish();
    expect(trainer.calls).not.toContain('snapshot');
    await trainer.finish();
    expect(trainer.calls.slice(-4)).toEqual(['step', 'snapshot', 'step', 'step']);
    await trainer.finishSnapshot();
    expect(bench.seen).toEqual(['restore', 'step 1', 'step 2', 'barrier']);
    const seen = { watermark: { 'text/0': 4 }, textAtMs: 2 };
    expect(barrier.basket.get('train')).toMatchObject({ state: { step: 2, seen, trainer: 'weights' } });
    expect(waitingIds(barrier.basket)).toEqual([3, 4]);
    expect(trainer.steps.map(({ batch }) => batch.ids[0])).toEqual([3, 4]);
  });

  it('says nothing of offsets to a job that goes on from there in another log', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer);
    const barrier = bench.source.barrier();
    bench.batches(1, 2, 3);
    bench.give(barrier);
    for (let step = 0; step < 2; step++) await trainer.finish();
    await trainer.finishSnapshot();
    const snapshot = asStored(barrier.basket).get('train') ?? { state: null };
    expect(trainStepKind.forked('train', snapshot, true)).toBe(snapshot);
    expect(trainStepKind.forked('train', snapshot, false)?.state).toEqual({
      step: 2,
      totals: { tokens: 8, bytes: 16, bits: expect.any(Number) },
      sources: {},
      seen: { watermark: {}, textAtMs: 0 },
      setAside: [],
      waiting: [expect.objectContaining({ ids: [3, 1] })],
      trainer: 'weights',
    });
  });

  it('trains on while the files are written, and reports that behind it', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer);
    const [first, second] = [bench.source.barrier(), bench.source.barrier()];
    bench.batches(1, 2, 3, 4);
    bench.give(first);
    for (let step = 0; step < 4; step++) await trainer.finish();
    bench.give(bench.source.tick(1), second);
    await settle();
    expect(bench.source.window.inFlightBytes).toBe(0);
    expect(bench.seen).toEqual(['restore', 'step 1', 'step 2']);
    await trainer.finishSnapshot('early');
    expect(bench.seen.slice(3)).toEqual(['barrier', 'step 3', 'step 4', 'tick']);
    await trainer.finishSnapshot('late');
    expect(bench.seen.slice(7)).toEqual(['barrier']);
    expect(first.basket.get('train')).toMatchObject({ state: { step: 2, totals: { bytes: 16 }, trainer: 'early' } });
    expect(second.basket.get('train')).toMatchObject({ state: { step: 4, totals: { bytes: 32 }, trainer: 'late' } });
  });

  it.each(['stop', 'final'] as const)(
    'takes no step any more behind the last one, also while its cut is being stored: %s',
    async (reason) => {
      const trainer = new ManualTrainer();
      const bench = await readyBench(trainer);
      bench.give(bench.source.barrier({}, reason));
      bench.batches(1);
      await trainer.finishSnapshot();
      expect(bench.seen).toEqual(['restore', 'barrier']);
      expect(trainer.calls).toEqual(['restore null', 'snapshot']);
    },
  );

  it('takes no step any more behind one at which another graph goes on', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer);
    const barrier = bench.source.barrier({}, 'deploy');
    bench.batches(1, 2, 3);
    bench.give(barrier);
    await trainer.finish();
    await trainer.finish();
    bench.batches(4);
    await settle();
    // It need not wait for the files: whoever stores the cut does.
    expect(bench.seen).toEqual(['restore', 'step 1', 'step 2', 'barrier']);
    expect(waitingIds(barrier.basket)).toEqual([3]);
    expect(trainer.calls.at(-1)).toBe('snapshot');
    await trainer.finishSnapshot('all');
    await barrier.writing;
    expect(barrier.basket.get('train')).toMatchObject({ state: { step: 2, trainer: 'all' } });
  });

  it('tells what changes behind one, trains on, and lets nothing of that be seen until it counts', async () => {
    const trainer = new ManualTrainer();
    const deadLetters = new MemoryDeadLetters();
    const bench = await readyBench(trainer, { deadLetters });
    const counts = new Deferred<void>();
    const tell = async (): Promise<void> => void trainer.calls.push('told');
    bench.batches(1, 2, 3, 4);
    bench.give({ ...bench.source.barrier({}, 'deploy'), change: { tell, counts: counts.promise } });
    await trainer.finish();
    await trainer.finish();
    expect(trainer.calls.slice(-4)).toEqual(['snapshot', 'told', 'step', 'step']);
    bench.give(bench.source.tick(1));
    await trainer.finish({ skipped: true, fault: 'non-finite-loss' });
    await trainer.finish();
    expect(bench.seen).toEqual(['restore', 'step 1', 'step 2', 'barrier']);
    expect(deadLetters.letters).toEqual([]);
    counts.resolve();
    await settle();
    expect(bench.seen.slice(4)).toEqual(['step 3', 'step 4', 'tick']);
    expect(deadLetters.letters).not.toEqual([]);
    bench.give(bench.source.tick(2));
    expect(bench.seen.at(-1)).toBe('tick');
  });

  it('ends where what it has told will never count', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer);
    const counts = Promise.reject(new Error('no room'));
    bench.batches(1);
    bench.give({ ...bench.source.barrier({}, 'deploy'), change: { tell: async () => {}, counts } });
    await trainer.finish();
    await settle();
    expect(bench.errors).toEqual([new Error('no room')]);
  });

  it('does not complete before it is out', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer);
    bench.give(bench.source.barrier());
    bench.input.complete();
    await settle();
    expect(bench.seen).toEqual(['restore']);
    await trainer.finishSnapshot();
    expect(bench.seen).toEqual(['restore', 'barrier', 'complete']);
  });

  it('leaves out of the cut what comes behind the barrier', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer);
    const [first, second] = [bench.source.barrier(), bench.source.barrier()];
    bench.batches(1, 2, 3);
    bench.give(first);
    bench.batches(4);
    bench.give(second);
    bench.batches(5);
    await trainer.finish();
    await trainer.finish();
    bench.batches(6);
    await trainer.finishSnapshot();
    await trainer.finishSnapshot();
    expect(waitingIds(first.basket)).toEqual([3]);
    expect(waitingIds(second.basket)).toEqual([3, 4]);
    expect(trainer.steps.map(({ batch }) => batch.ids[0])).toEqual([3, 4]);
  });

  it('goes on from it with the batches that waited, in order, and counts on', async () => {
    const bench = new Bench(fakeTrainer(), { uid: 'train', depth: 1 });
    const barrier = bench.source.barrier();
    bench.give(bench.source.restore());
    bench.batches(1, 2, 3);
    bench.give(barrier);
    bench.batches(4);
    await settle(20);
    expect(bench.seen).toEqual(['restore', 'barrier', 'step 1', 'step 2', 'step 3', 'step 4']);

    const trainer = fakeTrainer();
    const again = new Bench(trainer);
    again.give(again.source.restore(asStored(barrier.basket)));
    expect(again.source.window.inFlightBytes).toBe(3 * 24);
    again.batches(4);
    await settle(20);
    expect(trainer.steps.map(({ ids }) => ids[0])).toEqual([1, 2, 3, 4]);
    expect(again.reports).toEqual(bench.reports);
    expect(again.source.window.inFlightBytes).toBe(0);
  });

  it('keeps what waits through a barrier that comes while it is being restored', async () => {
    const bench = new Bench(fakeTrainer());
    const barrier = bench.source.barrier();
    bench.give(bench.source.restore());
    bench.batches(1, 2);
    bench.give(barrier);
    await settle(20);

    const trainer = new ManualTrainer();
    const again = new Bench(trainer);
    const quick = again.source.barrier();
    again.give(again.source.restore(asStored(barrier.basket)), quick);
    trainer.restored.resolve();
    await settle();
    await trainer.finishSnapshot();
    expect(again.seen).toEqual(['restore', 'barrier']);
    expect(waitingIds(quick.basket)).toEqual([1, 2]);
  });

  it('keeps marks in their order', async () => {
    const trainer = new ManualTrainer();
    const bench = new Bench(trainer);
    const { source } = bench;
    bench.give(source.restore(), source.tick(1));
    bench.batches(1);
    bench.give(source.barrier(), source.tick(2), source.barrier());
    trainer.restored.resolve();
    await settle();
    await trainer.finishSnapshot();
    await trainer.finishSnapshot();
    expect(bench.seen).toEqual(['restore', 'tick', 'barrier', 'tick', 'barrier']);
  });
});

describe('trainStep with maxSteps', () => {
  it('asks for a final cut once, and takes no step beyond', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer, { maxSteps: 2 });
    const barrier = bench.source.barrier({}, 'final');
    bench.batches(1, 2, 3, 4);
    await trainer.finish();
    expect(bench.source.requestedCuts).toEqual([]);
    await trainer.finish();
    expect(bench.source.requestedCuts).toEqual(['final']);
    bench.batches(5);
    bench.give(barrier);
    await settle();
    await trainer.finishSnapshot();
    expect(bench.seen).toEqual(['restore', 'step 1', 'step 2', 'barrier']);
    expect(waitingIds(barrier.basket)).toEqual([3, 4, 5]);
    expect([trainer.steps, bench.source.requestedCuts]).toEqual([[], ['final']]);
  });

  it('asks at once when the job has had them all', async () => {
    const state = { step: 7, totals: { tokens: 1, bytes: 1, bits: 1 }, waiting: [], trainer: null };
    const trainer = new ManualTrainer();
    const bench = new Bench(trainer, { maxSteps: 7 });
    bench.give(bench.source.restore({ train: { state } }));
    trainer.restored.resolve();
    await settle();
    expect(bench.source.requestedCuts).toEqual(['final']);
  });

  it('completes with its source, also when batches are left over', async () => {
    const trainer = new ManualTrainer();
    const bench = await readyBench(trainer, { maxSteps: 1 });
    bench.batches(1, 2);
    bench.input.complete();
    await trainer.finish();
    expect(bench.seen).toEqual(['restore', 'step 1', 'complete']);
  });
});
