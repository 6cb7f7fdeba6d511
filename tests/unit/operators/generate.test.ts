import { Observable, Subject, asyncScheduler, of, take } from 'rxjs';
import type { Subscription } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Element } from '../../../operators/flow.ts';
import { generate } from '../../../operators/generate.ts';
import type { GenerateOptions } from '../../../operators/generate.ts';
import type { SampleDelta, Sampler } from '../../../operators/ports.ts';
import type { Cancellation, TokenDelta, TokenizedPrompt } from '../../../operators/types.ts';
import { byteTokenizer } from '../../support/byte-tokenizer.ts';
import { TestSource, asStored, promptAt } from '../../support/elements.ts';
import { ManualSampler, manualWeights } from '../../support/manual-model.ts';
import { marbles } from '../../support/marbles.ts';
import { MemoryAnswers } from '../../support/memory-stores.ts';

const settings = { maxTokens: 5, temperature: 0, topK: 0, topP: 1, seed: 3 };
const END = 9;
/** Of an answer of two tokens by a sampler that does not say what it read. */
const usage = { promptTokens: 0, completionTokens: 2, cachedTokens: 0 };

function prompt(id: string, change: Partial<TokenizedPrompt> = {}): TokenizedPrompt {
  const unsaid = { key: id, stop: [], deadlineAtMs: null, onNewWeights: null };
  return { ...settings, ...unsaid, id, at: promptAt(id), tokens: Int32Array.of(1, 2), ...change };
}

function delta(token: number, finish: SampleDelta['finish'] = null): SampleDelta {
  return { tokens: Int32Array.of(token), weights: manualWeights, finish };
}

function samplerOf(sample: Sampler['sample']): Sampler {
  return { load: async () => {}, sample, close: async () => {} };
}

/** An operator at work on a subject, with all that came out of it as short words. */
class Bench {
  readonly source = new TestSource();
  readonly input = new Subject<Element<TokenizedPrompt | Cancellation>>();
  readonly sampler = new ManualSampler();
  readonly seen: string[] = [];
  readonly values: TokenDelta[] = [];
  readonly errors: unknown[] = [];
  readonly subscription: Subscription;

  constructor(options: Partial<GenerateOptions> = {}) {
    const operator = generate(this.sampler, { stopTokens: [END], ...options });
    this.subscription = this.input.pipe(operator).subscribe({
      next: (element) => {
        if (element.kind !== 'item') this.seen.push(element.kind);
        else {
          this.values.push(element.value);
          this.seen.push(`${element.value.id}${element.value.index}${element.value.finish ?? ''}`);
          element.source.window.give(element.bytes);
        }
      },
      error: (error: unknown) => this.errors.push(error),
      complete: () => this.seen.push('complete'),
    });
  }

  give(...elements: readonly Element<TokenizedPrompt | Cancellation>[]): void {
    for (const element of elements) this.input.next(element);
  }

  ask(...ids: readonly string[]): void {
    for (const id of ids) this.give(this.source.taken(prompt(id), 10));
  }

  takeBack(key: string): void {
    this.give(this.source.taken({ cancels: key, at: promptAt('z') }, 1));
  }

  /** The next part of the answer to the n-th request; the last one ends it. */
  speak(request: number, finish: SampleDelta['finish'] = null): void {
    this.sampler.answers[request]?.next(delta(4, finish));
    if (finish) this.sampler.answers[request]?.complete();
  }
}

function unfinishedIds(states: ReadonlyMap<string, unknown>): unknown {
  const stored: { state: { unfinished: { id: string }[] } } = JSON.parse(JSON.stringify(states.get('generate')));
  return stored.state.unfinished.map(({ id }) => id);
}

describe('generate', () => {
  it("asks the sampler, and emits its deltas with the prompt's id, numbered, the last under the prompt's bytes", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = new TestSource();
      const answer = cold('x-y|', { x: delta(4), y: delta(5, 'stop') });
      const sampler = samplerOf(() => answer);
      const flow = cold<Element<TokenizedPrompt>>('rp-t---b-|', {
        r: source.restore(),
        p: source.item(prompt('a'), 10),
        t: source.tick(1),
        b: source.barrier(),
      });
      expectObservable(flow.pipe(generate(sampler, { stopTokens: [END] }))).toBe('rx-(ty)b-|', {
        r: source.restore(),
        x: source.item({ ...delta(4), id: 'a', at: promptAt('a'), index: 0 }),
        t: source.tick(1),
        y: source.item({ ...delta(5, 'stop'), id: 'a', at: promptAt('a'), index: 1, usage }, 10),
        b: source.barrier({ generate: { state: { unfinished: [] } } }),
      });
      expectSubscriptions(flow.subscriptions).toBe('^--------!');
      expectSubscriptions(answer.subscriptions).toBe('-^--!');
    });
  });

  it("passes the source's error on, and cancels the answers; so does unsubscribing", () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = new TestSource();
      const answer = cold('----------x', { x: delta(4) });
      const sampler = samplerOf(() => answer);
      const operator = generate(sampler, { stopTokens: [] });
      const failing = cold<Element<TokenizedPrompt>>('p--#', { p: source.item(prompt('a')) });
      expectObservable(failing.pipe(operator)).toBe('---#');
      const flow = cold<Element<TokenizedPrompt>>('-p----', { p: source.item(prompt('a')) });
      expectObservable(flow.pipe(operator), '^----!').toBe('------');
      expectSubscriptions(flow.subscriptions).toBe('^----!');
      expectSubscriptions(answer.subscriptions).toBe(['^--!', '-^---!']);
    });
  });

  it('answers as many prompts at once as it may, the others in turn', () => {
    const bench = new Bench({ concurrency: 2 });
    bench.ask('a', 'b', 'c', 'd');
    expect(bench.sampler.answers).toHaveLength(2);
    bench.speak(1);
    bench.speak(0);
    bench.speak(1, 'stop');
    expect(bench.sampler.answers).toHaveLength(3);
    bench.speak(0, 'length');
    bench.speak(2, 'stop');
    bench.speak(3, 'stop');
    expect(bench.seen).toEqual(['b0', 'a0', 'b1stop', 'a1length', 'c0stop', 'd0stop']);
  });

  it("sends a prompt's bytes on with the last delta of its answer", () => {
    const bench = new Bench();
    bench.ask('a', 'b');
    bench.speak(0);
    expect(bench.source.window.inFlightBytes).toBe(20);
    bench.speak(0, 'stop');
    expect(bench.source.window.inFlightBytes).toBe(10);
    bench.speak(1, 'stop');
    expect(bench.source.window.inFlightBytes).toBe(0);
  });

  it("gives a prompt's bytes back when its answer ends without a last delta", () => {
    const bench = new Bench();
    bench.ask('a');
    bench.speak(0);
    bench.sampler.answers[0]?.complete();
    expect(bench.source.window.inFlightBytes).toBe(0);
  });

  it('completes behind the last answer', () => {
    const bench = new Bench({ concurrency: 1 });
    bench.ask('a', 'b');
    bench.input.complete();
    bench.speak(0, 'stop');
    bench.speak(1, 'stop');
    expect(bench.seen).toEqual(['a0stop', 'b0stop', 'complete']);
  });

  it("ends with the sampler's error, emitted or thrown, and cancels the other answers", () => {
    const bench = new Bench();
    bench.ask('a', 'b');
    bench.sampler.answers[0]?.error(new Error('died'));
    expect([bench.errors, bench.sampler.open, bench.input.observed]).toEqual([[new Error('died')], 0, false]);
    const broken = new Bench();
    broken.sampler.sample = () => {
      throw new Error('thrown');
    };
    broken.ask('a');
    expect(broken.errors).toEqual([new Error('thrown')]);
  });

  it('answers any number of prompts by a sampler that answers in one go', () => {
    const first = new Subject<SampleDelta>();
    const bench = new Bench({ concurrency: 1 });
    bench.sampler.sample = () => first;
    bench.ask(...Array.from({ length: 10_000 }, (_, at) => String(at)));
    bench.sampler.sample = () => of(delta(4, 'stop'));
    first.complete();
    expect(bench.seen).toHaveLength(9999);
    expect(bench.errors).toEqual([]);
  });

  it('lets go of everything when its subscriber leaves at the first delta', () => {
    const sampler = new ManualSampler();
    const eager = new ManualSampler();
    eager.sample = (request) =>
      new Observable((subscriber) => {
        subscriber.next(delta(4));
        return sampler.sample(request).subscribe(subscriber);
      });
    const source = new TestSource();
    let emitted = 0;
    const endless = new Observable<Element<TokenizedPrompt>>((subscriber) => {
      for (; !subscriber.closed && emitted < 100; emitted++) subscriber.next(source.item(prompt('a')));
    });
    endless.pipe(generate(eager, { stopTokens: [] }), take(1)).subscribe();
    expect(emitted).toBeLessThan(10);
    expect(sampler.open).toBe(0);
  });

  it('shares nothing between two subscriptions', () => {
    const source = new TestSource();
    const sampler = new ManualSampler();
    const seen: string[] = [];
    const output = of(source.item(prompt('a'))).pipe(generate(sampler, { stopTokens: [], concurrency: 1 }));
    for (const name of ['first', 'second']) output.subscribe(() => seen.push(name));
    expect(sampler.open).toBe(2);
    sampler.answers[1]?.next(delta(4));
    expect(seen).toEqual(['second']);
  });
});

describe('generate, at the end of an answer', () => {
  const clock = { nowMs: () => 1000 };

  it('says what it took, and how fresh the text was that its last weights had seen', () => {
    const bench = new Bench({ clock });
    bench.ask('a');
    const weights = { id: 'w2', step: 2, seen: { 'text/0': 7 }, textAtMs: 400, trainedAtMs: 900 };
    const [answer] = bench.sampler.answers;
    answer?.next({ ...delta(4), read: { tokens: 9, reused: 8 } });
    answer?.next({ ...delta(5), weights });
    answer?.next({ tokens: new Int32Array(), weights, finish: 'stop' });
    expect(bench.values.map((value) => [value.usage, value.freshness, value.weights.id])).toEqual([
      [undefined, undefined, 'w1'],
      [undefined, undefined, 'w2'],
      [{ promptTokens: 9, completionTokens: 2, cachedTokens: 8 }, { trainedMs: 500, spokenMs: 600 }, 'w2'],
    ]);
    expect(bench.values.at(-1)?.weights).toEqual(weights);
  });

  it('tells the sampler what becomes of it when new weights come: as the prompt says, else the graph', () => {
    const bench = new Bench({ onNewWeights: 'finish' });
    bench.ask('a');
    bench.give(bench.source.taken(prompt('b', { onNewWeights: 'switch' }), 1));
    expect(bench.sampler.requests.map(({ onNewWeights }) => onNewWeights)).toEqual(['finish', 'switch']);
  });

  it('ends what is taken back, whether it has begun or waits, and lets the next one begin', () => {
    const bench = new Bench({ concurrency: 1 });
    bench.ask('a', 'b', 'c');
    bench.speak(0);
    for (const key of ['b', 'a', 'a', 'nobody']) bench.takeBack(key);
    bench.speak(1, 'stop');
    bench.takeBack('c');
    expect(bench.seen).toEqual(['a0', 'b0cancelled', 'a1cancelled', 'c0stop']);
    expect(bench.values.map(({ usage: took, weights }) => [took?.completionTokens, weights.id])).toEqual([
      [undefined, 'w1'],
      [0, ''],
      [1, 'w1'],
      [1, 'w1'],
    ]);
    expect([bench.sampler.open, bench.source.window.inFlightBytes]).toEqual([0, 0]);
  });

  it('takes back all prompts of a key that came before, of the same topic only', () => {
    const bench = new Bench();
    const elsewhere = { ...promptAt('d'), topic: 'other' };
    for (const [id, change] of [
      ['a', {}],
      ['b', { key: 'a' }],
      ['c', { key: null }],
      ['d', { key: 'a', at: elsewhere }],
    ] as const) {
      bench.give(bench.source.taken(prompt(id, change), 10));
    }
    bench.takeBack('a');
    bench.ask('a');
    expect(bench.seen).toEqual(['a0cancelled', 'b0cancelled']);
    expect(bench.sampler.open).toBe(3);
  });

  it('ends at its deadline with what it has so far, also when it has not begun; never twice', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = new TestSource();
      const answer = cold('x---y', { x: delta(4), y: delta(5) });
      const sampler = samplerOf(() => answer);
      const flow = cold<Element<TokenizedPrompt>>('abr--|', {
        a: source.item(prompt('a', { deadlineAtMs: 3 }), 10),
        b: source.item(prompt('b', { deadlineAtMs: 1 }), 10),
        r: source.tick(1),
      });
      const ended = { tokens: new Int32Array(), finish: 'deadline' as const };
      const virtual = { nowMs: () => asyncScheduler.now() };
      const output = flow.pipe(generate(sampler, { stopTokens: [], concurrency: 1, clock: virtual }));
      expectObservable(output).toBe('abrc-|', {
        a: source.item({ ...delta(4), id: 'a', at: promptAt('a'), index: 0 }),
        b: source.item(
          {
            ...ended,
            weights: { id: '', step: 0 },
            id: 'b',
            at: promptAt('b'),
            index: 0,
            usage: { ...usage, completionTokens: 0 },
          },
          10,
        ),
        r: source.tick(1),
        c: source.item(
          {
            ...ended,
            weights: manualWeights,
            id: 'a',
            at: promptAt('a'),
            index: 1,
            usage: { ...usage, completionTokens: 1 },
          },
          10,
        ),
      });
      expectSubscriptions(answer.subscriptions).toBe('^--!');
    });
  });

  it('does not end at a deadline what has ended before', () => {
    marbles(({ cold, expectObservable }) => {
      const source = new TestSource();
      const whole = cold<SampleDelta>('(x)--|', { x: delta(4, 'stop') });
      const flow = cold('a-----|', { a: source.item(prompt('a', { deadlineAtMs: 2 })) });
      const virtual = { nowMs: () => asyncScheduler.now() };
      const output = flow.pipe(
        generate(
          samplerOf(() => whole),
          { stopTokens: [], clock: virtual },
        ),
      );
      const value = {
        ...delta(4, 'stop'),
        id: 'a',
        at: promptAt('a'),
        index: 0,
        usage: { ...usage, completionTokens: 1 },
      };
      expectObservable(output).toBe('x-----|', { x: source.item(value) });
    });
  });
});

describe('generate at a barrier', () => {
  it('lets it overtake the answers, and notes the prompts without a whole one, in order', () => {
    const bench = new Bench({ concurrency: 2 });
    const barrier = bench.source.barrier();
    bench.ask('a', 'b', 'c', 'd');
    bench.speak(1);
    bench.speak(0, 'stop');
    bench.give(barrier);
    bench.ask('e');
    expect(bench.seen).toEqual(['b0', 'a0stop', 'barrier']);
    expect(unfinishedIds(barrier.basket)).toEqual(['b', 'c', 'd']);
  });

  it('notes a prompt whose first delta makes the barrier come', () => {
    const source = new TestSource();
    const barrier = source.barrier();
    const input = new Subject<Element<TokenizedPrompt>>();
    const sampler = samplerOf(() => of(delta(4), delta(5, 'stop')));
    input.pipe(generate(sampler, { stopTokens: [] })).subscribe((element) => {
      if (element.kind === 'item' && element.value.index === 0) input.next(barrier);
    });
    input.next(source.item(prompt('a')));
    expect(unfinishedIds(barrier.basket)).toEqual(['a']);
  });

  it('answers them again from the first delta after a restart, before new ones', () => {
    const bench = new Bench({ concurrency: 2 });
    const barrier = bench.source.barrier();
    bench.ask('a', 'b', 'c');
    bench.speak(0);
    bench.give(barrier);

    const again = new Bench({ concurrency: 2 });
    again.give(again.source.restore(asStored(barrier.basket)));
    expect(again.source.window.inFlightBytes).toBe(3 * 8);
    again.ask('d');
    for (const request of [0, 1, 2, 3]) again.speak(request, 'stop');
    expect(again.seen).toEqual(['restore', 'a0stop', 'b0stop', 'c0stop', 'd0stop']);
    const asked = { ...settings, prompt: Int32Array.of(1, 2), stopTokens: [END], onNewWeights: 'switch' };
    expect(again.sampler.requests[0]).toEqual(asked);
    expect(again.source.window.inFlightBytes).toBe(0);
  });

  it('passes over prompts that have an answer, from the cut and from the stream', async () => {
    const answers = new MemoryAnswers();
    const bench = new Bench();
    const barrier = bench.source.barrier();
    bench.ask('a', 'b');
    bench.give(barrier);
    for (const id of ['a', 'c']) await answers.commit({ at: promptAt(id), records: [] });

    const again = new Bench({ answers });
    again.give(again.source.restore(asStored(barrier.basket)));
    again.ask('c', 'd');
    for (const request of [0, 1]) again.speak(request, 'stop');
    expect(again.seen).toEqual(['restore', 'b0stop', 'd0stop']);
    expect(again.source.window.inFlightBytes).toBe(0);
  });

  it('ends an answer with the delta that completes a stop string, and the sampler says no more', () => {
    const bench = new Bench({ concurrency: 1, tokenizer: byteTokenizer });
    const barrier = bench.source.barrier();
    bench.give(bench.source.taken(prompt('a', { stop: ['\u0004\u0004'] }), 10));
    bench.ask('b');
    bench.speak(0);
    bench.give(barrier);
    bench.speak(0);
    expect(bench.sampler.answers[0]?.observed).toBe(false);
    bench.speak(1, 'length');
    expect(bench.seen).toEqual(['a0', 'barrier', 'a1stop', 'b0length']);
    expect(bench.values.map(({ stop, usage: took }) => [stop, took?.completionTokens])).toEqual([
      [['\u0004\u0004'], undefined],
      [undefined, 2],
      [undefined, 1],
    ]);
    expect(bench.source.window.inFlightBytes).toBe(0);

    const again = new Bench({ tokenizer: byteTokenizer });
    again.give(again.source.restore(asStored(barrier.basket)));
    for (const _ of 'ab') again.speak(0);
    expect(again.seen).toEqual(['restore', 'a0', 'a1stop']);
  });

  it('says nothing behind a stop string of a sampler that says all at once', () => {
    const source = new TestSource();
    const seen: unknown[] = [];
    const sampler = samplerOf(() => of(delta(4), delta(5), delta(6, 'length')));
    const input = new Subject<Element<TokenizedPrompt>>();
    input.pipe(generate(sampler, { stopTokens: [], tokenizer: byteTokenizer })).subscribe((element) => {
      if (element.kind === 'item') seen.push([element.value.index, element.value.finish]);
    });
    input.next(source.item(prompt('a', { stop: ['\u0005'] })));
    expect(seen).toEqual([
      [0, null],
      [1, 'stop'],
    ]);
  });

  it('keeps keys, deadlines and policies, so that after a restart prompts are taken back and end as before', () => {
    const bench = new Bench();
    const barrier = bench.source.barrier();
    const late = { deadlineAtMs: 5, onNewWeights: 'finish' as const };
    bench.give(bench.source.taken(prompt('a', late), 10), barrier);
    const again = new Bench();
    again.give(again.source.restore(asStored(barrier.basket)));
    expect(again.sampler.requests).toMatchObject([{ onNewWeights: 'finish' }]);
    again.takeBack('a');
    expect(again.seen).toEqual(['restore', 'a0cancelled']);
  });

  it('reads the state of a version that knew neither keys nor deadlines', () => {
    const { id, at, tokens } = prompt('a');
    const bench = new Bench();
    const unfinished = [{ ...settings, id, at: { ...at }, tokens: Array.from(tokens) }];
    bench.give(bench.source.restore({ generate: { state: { unfinished } } }));
    bench.speak(0, 'stop');
    expect(bench.seen).toEqual(['restore', 'a0stop']);
  });

  it('ends with state-invalid when the state cannot be read', () => {
    const bench = new Bench();
    bench.give(bench.source.restore({ generate: { state: { unfinished: 'junk' } } }));
    expect(bench.errors).toEqual([expect.objectContaining({ code: 'state-invalid' })]);
  });
});
