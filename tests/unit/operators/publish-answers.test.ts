import { Subject, from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Element } from '../../../operators/flow.ts';
import { publishAnswers } from '../../../operators/publish-answers.ts';
import type { TextDelta } from '../../../operators/types.ts';
import { TestSource, promptAt } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';
import { MemoryAnswers } from '../../support/memory-stores.ts';
import { Deferred, settle } from '../../support/settle.ts';

const weights = { id: 'w', step: 1 };

function delta(id: string, index: number, finish: TextDelta['finish'] = null): TextDelta {
  return { event: 'generation', id, at: promptAt(id), index, text: `${id}${index} `, weights, finish };
}

/** A book whose commits wait until the test lets them. */
class ManualAnswers extends MemoryAnswers {
  readonly commits: Deferred<void>[] = [];

  override async commit(...args: Parameters<MemoryAnswers['commit']>): Promise<void> {
    const commit = new Deferred<void>();
    this.commits.push(commit);
    await commit.promise;
    return super.commit(...args);
  }
}

class Bench {
  readonly source = new TestSource();
  readonly input = new Subject<Element<TextDelta>>();
  readonly seen: string[] = [];
  readonly errors: unknown[] = [];
  readonly answers: MemoryAnswers;

  constructor(answers: MemoryAnswers) {
    this.answers = answers;
    this.input.pipe(publishAnswers({ answers, topic: 'out' })).subscribe({
      next: (element) =>
        this.seen.push(element.kind === 'item' ? `${element.value.id}${element.value.index}` : element.kind),
      error: (error: unknown) => this.errors.push(error),
    });
  }

  say(...deltas: readonly TextDelta[]): void {
    for (const each of deltas) this.input.next(this.source.item(each));
  }

  /** What was committed, an answer an entry. */
  get committed(): string[] {
    return this.answers.committed.map(({ records }) =>
      records.map(({ value }) => JSON.parse(String(value)).text).join(''),
    );
  }
}

describe('publishAnswers', () => {
  it('commits each answer when it is whole, its deltas in order, however answers mingle', async () => {
    const bench = new Bench(new MemoryAnswers());
    bench.say(
      delta('a', 0),
      delta('b', 0),
      delta('b', 1, 'stop'),
      delta('a', 1),
      delta('a', 2, 'length'),
      delta('c', 0),
    );
    await settle();
    expect(bench.committed).toEqual(['b0 b1 ', 'a0 a1 a2 ']);
    const [answer] = bench.answers.committed;
    expect(answer?.at).toEqual(promptAt('b'));
    const [first] = answer?.records ?? [];
    expect({ ...first, value: String(first?.value) }).toEqual({
      topic: 'out',
      key: 'b',
      value: JSON.stringify(delta('b', 0)),
    });
  });

  it('passes deltas on in order, the last one once the answer is committed, and a barrier behind it', async () => {
    const answers = new ManualAnswers();
    const bench = new Bench(answers);
    bench.say(delta('a', 0), delta('b', 0), delta('a', 1, 'stop'), delta('b', 1, 'stop'));
    bench.input.next(bench.source.barrier());
    await settle();
    expect(bench.seen).toEqual(['a0', 'b0']);
    expect(answers.commits).toHaveLength(2);
    answers.commits[1]?.resolve();
    await settle();
    expect(bench.seen).toEqual(['a0', 'b0']);
    answers.commits[0]?.resolve();
    await settle();
    expect(bench.seen).toEqual(['a0', 'b0', 'a1', 'b1', 'barrier']);
  });

  it('forgets what was said of an answer that begins again', async () => {
    const bench = new Bench(new MemoryAnswers());
    bench.say(delta('a', 0), delta('a', 1), delta('a', 0), delta('a', 1, 'stop'));
    await settle();
    expect(bench.committed).toEqual(['a0 a1 ']);
  });

  it('keeps answers to two prompts of one id apart', async () => {
    const bench = new Bench(new MemoryAnswers());
    const twin = (index: number, finish: TextDelta['finish'] = null): TextDelta => {
      return { ...delta('a', index, finish), at: promptAt('b'), text: `twin${index} ` };
    };
    bench.say(delta('a', 0), twin(0), delta('a', 1, 'stop'), twin(1, 'stop'));
    await settle();
    expect(bench.committed).toEqual(['a0 a1 ', 'twin0 twin1 ']);
  });

  it('asks for a cut at once where the job starts anew, and only there', () => {
    for (const [states, cuts] of [
      [{}, ['timer']],
      [{ generate: { state: null } }, []],
    ] as const) {
      const bench = new Bench(new MemoryAnswers());
      bench.input.next(bench.source.restore(states));
      expect(bench.source.requestedCuts).toEqual(cuts);
      expect(bench.seen).toEqual(['restore']);
    }
  });

  it("ends with the book's error, before the delta that it is about", async () => {
    const answers = new ManualAnswers();
    const bench = new Bench(answers);
    bench.say(delta('a', 0), delta('a', 1, 'stop'), delta('b', 0));
    await settle();
    answers.commits[0]?.reject(new Error('fenced'));
    await settle();
    expect(bench.seen).toEqual(['a0']);
    expect(bench.errors).toEqual([new Error('fenced')]);
  });

  it("passes the source's error on, and lets go of the source when unsubscribed", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = new TestSource();
      const elements = { a: source.item(delta('a', 0)), t: source.tick(1) };
      const operator = publishAnswers({ answers: new MemoryAnswers(), topic: 'out' });
      const failing = cold<Element<TextDelta>>('at-#', elements);
      expectObservable(failing.pipe(operator)).toBe('at-#', elements);
      expectSubscriptions(failing.subscriptions).toBe('^--!');
      const flow = cold<Element<TextDelta>>('a--t', elements);
      expectObservable(flow.pipe(operator), '^-!').toBe('a--', elements);
      expectSubscriptions(flow.subscriptions).toBe('^-!');
    });
  });

  it('completes behind the last commit', async () => {
    const source = new TestSource();
    const answers = new MemoryAnswers();
    const flow = from([delta('a', 0), delta('a', 1, 'stop')].map((each) => source.item(each)));
    await lastValueFrom(flow.pipe(publishAnswers({ answers, topic: 'out' }), toArray()));
    expect(answers.committed).toHaveLength(1);
  });
});
