import { array, assert, asyncProperty, integer, nat, record } from 'fast-check';
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { StepFault, StepInput } from '../../../model/types.ts';
import type { Barrier, Element } from '../../../operators/flow.ts';
import type { Snapshot, StepReport, TokenBatch } from '../../../operators/types.ts';
import { trainStep, trainStepKind } from '../../../operators/train-step.ts';
import type { TrainStepOptions } from '../../../operators/train-step.ts';
import { TestSource, asStored } from '../../support/elements.ts';
import { fakeTrainer } from '../../support/fakes.ts';
import { MemoryDeadLetters } from '../../support/memory-stores.ts';
import { settle } from '../../support/settle.ts';
import { smallBatch } from '../../support/token-batch.ts';

const GUARD = { sigma: 6, gradientSigma: 12, window: 4, retryAfter: 3 };
type Fault = (batch: StepInput, step: number) => StepFault | null;

/** Of one record. */
function batchOf(id: number): TokenBatch {
  return smallBatch(id, 1);
}

/** The operator over a trainer that skips what it is told to. */
class Bench {
  readonly source = new TestSource();
  readonly input = new Subject<Element<TokenBatch>>();
  readonly letters = new MemoryDeadLetters();
  readonly reports: StepReport[] = [];

  constructor(faultOf: Fault, options: TrainStepOptions = {}, states: ReadonlyMap<string, Snapshot> = new Map()) {
    const operator = trainStep(fakeTrainer({ faultOf }), { guard: GUARD, deadLetters: this.letters, ...options });
    this.input.pipe(operator).subscribe((element) => {
      if (element.kind === 'item') this.reports.push(element.value);
    });
    this.input.next(this.source.restore(states));
  }

  async train(...ids: readonly number[]): Promise<void> {
    for (const id of ids) this.input.next(this.source.taken(batchOf(id), 24));
    await settle(40);
  }

  async cut(): Promise<ReadonlyMap<string, Snapshot>> {
    const barrier: Barrier = this.source.barrier();
    this.input.next(barrier);
    await settle(40);
    return asStored(barrier.basket);
  }

  /** `7` for a batch that was taken, `7!` for one that was skipped, `7?` at its second try. */
  get course(): string[] {
    return this.reports.map(({ spans, skipped, attempt }) => {
      return `${spans[0]?.from}${attempt === 2 ? '?' : ''}${skipped ? '!' : ''}`;
    });
  }

  get dead(): string[] {
    return this.letters.letters.map(({ at, code }) => `${at.offset} ${code}`);
  }
}

const spikesAt =
  (...ids: readonly number[]): Fault =>
  ({ ids: [id = 0] }) =>
    ids.includes(id) ? 'loss-spike' : null;
const once =
  (id: number, until: number): Fault =>
  ({ ids: [first] }, step) =>
    first === id && step < until ? 'gradient-spike' : null;

describe('a step that was skipped', () => {
  it('is tried again so many steps later, before what is new, and counts where it is taken', async () => {
    const bench = new Bench(once(2, 4));
    await bench.train(1, 2, 3, 4, 5, 6);
    expect(bench.course).toEqual(['1', '2!', '3', '4', '2?', '5', '6']);
    expect(bench.reports.map(({ step, fault }) => [step, fault])[1]).toEqual([2, 'gradient-spike']);
    expect(bench.dead).toEqual([]);
    expect(bench.source.window.inFlightBytes).toBe(0);
  });

  it('is examined once: its first loss is in the sums, where there is one, and its second is not', async () => {
    const bench = new Bench(once(2, 4));
    await bench.train(1, 2, 3, 4, 5, 6);
    expect(bench.reports.map(({ totals }) => totals.bytes)).toEqual([8, 16, 24, 32, 32, 40, 48]);
  });

  it('sends its records to the dead letters at the second time, with the reason, and is not tried any more', async () => {
    const bench = new Bench(spikesAt(2));
    await bench.train(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    expect(bench.course.filter((step) => step.startsWith('2'))).toEqual(['2!', '2?!']);
    expect(bench.dead).toEqual(['2 loss-spike']);
    expect(bench.letters.letters[0]?.message).toContain('step 5');
  });

  it('waits for its turn without holding up the source, and is in the cut', async () => {
    const bench = new Bench(once(2, 4));
    await bench.train(1, 2, 3);
    expect(bench.course).toEqual(['1', '2!', '3']);
    expect(bench.source.window.inFlightBytes).toBe(0);
    const states = await bench.cut();
    const again = new Bench(once(2, 4), {}, states);
    await again.train(4, 5, 6);
    expect(again.course).toEqual(['4', '2?', '5', '6']);
    expect(again.source.window.inFlightBytes).toBe(0);
  });

  it('says of the offsets that were seen what the newest text says', async () => {
    const bench = new Bench(once(2, 4));
    await bench.train(1, 2, 3, 4);
    const states = await bench.cut();
    expect(bench.course.at(-1)).toBe('2?');
    expect(states.get('train')?.state).toMatchObject({ seen: { watermark: { 'text/0': 5 } }, setAside: [] });
  });

  it('is tried when there is nothing else to come', async () => {
    const bench = new Bench(once(2, 3));
    await bench.train(1, 2);
    bench.input.complete();
    await settle(40);
    expect(bench.course).toEqual(['1', '2!', '2?']);
  });

  it('is not tried again where it shall not be, and without a guard', async () => {
    for (const guard of [{ ...GUARD, retryAfter: 0 }, null]) {
      const bench = new Bench(spikesAt(2), { guard });
      await bench.train(1, 2, 3, 4, 5, 6);
      expect(bench.course).toEqual(['1', '2!', '3', '4', '5', '6']);
      expect(bench.dead).toEqual(['2 loss-spike']);
    }
  });

  it('never comes before its result is known, however many steps are under way', async () => {
    const bench = new Bench(spikesAt(1), { depth: 6, guard: { ...GUARD, retryAfter: 1 } });
    await bench.train(1, 2, 3, 4, 5, 6, 7, 8);
    expect(bench.course).toEqual(['1!', '2', '3', '4', '5', '6', '1?!', '7', '8']);
  });
});

it('loses no batch, counts none twice, and repeats itself from any cut to the bit', async () => {
  const scenario = record({
    count: integer({ min: 1, max: 16 }),
    cutAt: nat(16),
    depth: integer({ min: 1, max: 4 }),
    retryAfter: integer({ min: 1, max: 5 }),
    bad: array(record({ id: integer({ min: 1, max: 16 }), until: integer({ min: 1, max: 24 }) })),
  });
  await assert(
    asyncProperty(scenario, async ({ count, cutAt, depth, retryAfter, bad }) => {
      const faultOf: Fault = ({ ids: [first] }, step) =>
        bad.some(({ id, until }) => id === first && step < until) ? 'loss-spike' : null;
      const options = { depth, guard: { ...GUARD, retryAfter } };
      const ids = Array.from({ length: count }, (_, at) => at + 1);
      const whole = new Bench(faultOf, options);
      await whole.train(...ids);
      whole.input.complete();
      await settle(80);
      const taken = whole.reports.filter(({ skipped }) => !skipped).map(({ spans }) => spans[0]?.from ?? 0);
      const dead = whole.letters.letters.map(({ at }) => at.offset);
      expect([...taken, ...dead].toSorted((a, b) => a - b)).toEqual(ids);
      expect(whole.reports.at(-1)?.totals.bytes).toBe(8 * count);

      const first = new Bench(faultOf, options);
      await first.train(...ids.slice(0, cutAt));
      const states = await first.cut();
      const second = new Bench(faultOf, options, states);
      await second.train(...ids.slice(cutAt));
      second.input.complete();
      await settle(80);
      expect([...first.reports, ...second.reports]).toEqual(whole.reports);
    }),
    { numRuns: 60 },
  );
});

it('keeps what was set aside through another vocabulary', async () => {
  const bench = new Bench(spikesAt(2));
  await bench.train(1, 2);
  const snapshot = (await bench.cut()).get('train') ?? { state: null };
  const respelling = { spelled: [[0], [1], [2]], bytes: [1, 1, 1], endOfText: 0, rows: [0, 1, 2] };
  const anew = trainStepKind.respelled(snapshot, respelling, {}, { rows: 1, context: 2 });
  expect(anew.state).toMatchObject({ setAside: [{ dueAt: 5, batch: { ids: [2, 1], byteCount: 2 } }] });
});
