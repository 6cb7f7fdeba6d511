import * as fc from 'fast-check';
import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { evaluate, evaluateConfigSchema, evaluateKind, isDueIn } from '../../../operators/evaluate.ts';
import type { EvaluateOptions } from '../../../operators/evaluate.ts';
import type { Barrier, Element } from '../../../operators/flow.ts';
import type { CutReason } from '../../../operators/types.ts';
import { TestSource, asStored } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';

const UID = 'exam';
const source = new TestSource();
const elements = { a: source.item('a'), r: source.restore(), t: source.tick(1), b: source.barrier() };

/** `s` is a step, `c` a cut, `d` one for `deploy`. */
const LETTERS: Readonly<Record<string, CutReason>> = { c: 'timer', d: 'deploy' };

interface Run {
  /** For each cut, whether it is due. */
  readonly due: readonly boolean[];
  readonly asked: number;
  readonly last: Barrier;
}

async function run(letters: string, options: EvaluateOptions, before?: Barrier): Promise<Run> {
  const own = new TestSource();
  const flow: Element<string>[] = [own.restore(before ? asStored(before.basket) : {})];
  for (const letter of letters) {
    const reason = LETTERS[letter];
    flow.push(reason ? own.barrier({}, reason) : own.item(letter));
  }
  const seen = await lastValueFrom(from(flow).pipe(evaluate({ uid: UID, ...options }), toArray()));
  expect(seen).toEqual(flow);
  const cuts = seen.filter((each): each is Barrier => each.kind === 'barrier');
  const due = cuts.map(({ basket }) => isDueIn(basket.get(UID)?.state));
  return { due, asked: own.requestedCuts.length, last: cuts.at(-1) ?? own.barrier() };
}

describe('evaluate', () => {
  it('lets everything pass, completes with its source, and lets go of it when unsubscribed', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const flow = cold('                          ra-tb-|', elements);
      expectObservable(flow.pipe(evaluate())).toBe('ra-tb-|', elements);
      expectSubscriptions(flow.subscriptions).toBe('^-----!');
      const other = cold('a--a', elements);
      expectObservable(other.pipe(evaluate()), '^-!').toBe('a--', elements);
      expectSubscriptions(other.subscriptions).toBe('^-!');
    });
  });

  it("passes the source's error on", () => {
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold('a-#', elements).pipe(evaluate())).toBe('a-#', elements);
    });
  });

  it('says of each n-th cut that it is due', async () => {
    expect((await run('scscscscsc', { everyCheckpoints: 2 })).due).toEqual([false, true, false, true, false]);
    expect((await run('cc', {})).due).toEqual([true, true]);
  });

  it('asks for a cut after so many steps, once, and says that it is due', async () => {
    const { due, asked } = await run('sscssscsss', { everySteps: 4 });
    expect({ due, asked }).toEqual({ due: [false, true], asked: 1 });
    expect((await run('sssssssc', { everySteps: 2 })).asked).toBe(1);
  });

  it('leaves out a cut for a deployment: the next one is in its place', async () => {
    const { due, last } = await run('ssd', { everySteps: 2 });
    expect(due).toEqual([false]);
    const next = await run('sc', { everySteps: 2 }, last);
    expect(next).toMatchObject({ due: [true], asked: 1 });
    expect((await run('dc', { everyCheckpoints: 1 })).due).toEqual([false, true]);
  });

  it('counts on behind a cut as if nothing had been, wherever that is', async () => {
    const letters = fc.string({ unit: fc.constantFrom('s', 'c', 'd'), maxLength: 30 });
    const options = fc.oneof(
      fc.record({ everyCheckpoints: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ everySteps: fc.integer({ min: 1, max: 6 }) }),
    );
    await fc.assert(
      fc.asyncProperty(letters, letters, options, async (before, after, chosen) => {
        const whole = await run(`${before}c${after}`, chosen);
        const first = await run(`${before}c`, chosen);
        const second = await run(after, chosen, first.last);
        expect([...first.due, ...second.due]).toEqual(whole.due);
      }),
    );
  });

  it('fails with state-invalid where the state is of another operator', async () => {
    const wrong = source.restore({ [UID]: { state: { published: 3 } } });
    const failing = lastValueFrom(from([wrong]).pipe(evaluate({ uid: UID })));
    await expect(failing).rejects.toMatchObject({ code: 'state-invalid' });
    expect(isDueIn({ published: 3 })).toBe(false);
    expect(isDueIn(undefined)).toBe(false);
  });
});

describe('evaluateKind', () => {
  it('takes a text or a list of them, and every default', () => {
    const { heldOut, topic, cloze } = evaluateConfigSchema.parse({ heldOut: { topic: 'text' } });
    expect({ heldOut, topic, cloze }).toEqual({
      heldOut: [{ topic: 'text', bytes: '16KB' }],
      topic: 'evaluations',
      cloze: 'shipped',
    });
    expect(evaluateConfigSchema.parse({})).toMatchObject({ everyCheckpoints: 5, heldOut: [] });
  });

  it('begins anew in a job of its own', () => {
    expect(evaluateKind.forked(UID, { state: { since: 3, isDue: true } }, true)).toBeNull();
  });
});
