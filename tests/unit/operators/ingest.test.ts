import * as fc from 'fast-check';
import { EMPTY, NEVER, lastValueFrom, merge, throwError } from 'rxjs';
import type { Observable, Subscription } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Barrier, Element, Source } from '../../../operators/flow.ts';
import { ingest } from '../../../operators/ingest.ts';
import type { IngestOptions } from '../../../operators/ingest.ts';
import type { LedgerEntry, Topic } from '../../../operators/ports.ts';
import type { CutReason, LogRecord } from '../../../operators/types.ts';
import { asStored } from '../../support/elements.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryLedger } from '../../support/memory-stores.ts';
import { Deferred, settle } from '../../support/settle.ts';

/** A log whose readers are counted, with the topic `text`. */
class WatchedLog extends MemoryLog {
  openReaders = 0;
  /** Runs before each poll. */
  beforePoll: () => Promise<void> = async () => {};

  static async with(texts: readonly (readonly string[])[]): Promise<WatchedLog> {
    const log = new WatchedLog();
    await log.createTopic('text', { partitions: texts.length });
    await log.add(texts);
    return log;
  }

  /** Texts by partition. */
  async add(texts: readonly (readonly string[])[]): Promise<void> {
    await this.produce(
      'text',
      texts.flatMap((all, partition) => all.map((value) => ({ value, partition, timestampMs: 1 }))),
    );
  }

  override reader(...args: Parameters<MemoryLog['reader']>): ReturnType<MemoryLog['reader']> {
    const reader = super.reader(...args);
    const [poll, close] = [reader.poll.bind(reader), reader.close.bind(reader)];
    this.openReaders += 1;
    reader.poll = async (options) => {
      await this.beforePoll();
      return poll(options);
    };
    reader.close = async () => {
      this.openReaders -= 1;
      await close();
    };
    return reader;
  }
}

/** `ingest` at work, with all that came out of it as short words: records are their text. */
class Bench {
  readonly seen: string[] = [];
  readonly barriers: Barrier[] = [];
  readonly errors: unknown[] = [];
  readonly subscription: Subscription;
  /** Gives bytes back at once, as an operator that absorbs everything. */
  isAbsorbing = true;
  #source: Source | null = null;

  constructor(topics: Observable<Topic>, options: IngestOptions = {}, react: (bench: Bench) => void = () => {}) {
    this.subscription = topics.pipe(ingest(options)).subscribe({
      next: (element) => {
        this.#source = element.source;
        this.seen.push(wordOf(element));
        if (element.kind === 'barrier') this.barriers.push(element);
        if (element.kind === 'item' && this.isAbsorbing) element.source.window.give(element.bytes);
        react(this);
      },
      error: (error: unknown) => this.errors.push(error),
    });
  }

  get source(): Source {
    if (!this.#source) throw new Error('Nothing has come yet.');
    return this.#source;
  }

  async cut(reason: CutReason = 'timer'): Promise<Barrier> {
    this.source.requestCut(reason);
    await settle(3);
    return this.lastBarrier;
  }

  get lastBarrier(): Barrier {
    const barrier = this.barriers.at(-1);
    if (!barrier) throw new Error('No barrier has come.');
    return barrier;
  }

  async until(count: number): Promise<void> {
    while (this.seen.length < count && this.errors.length === 0) await settle();
  }
}

function wordOf(element: Element<LogRecord>): string {
  if (element.kind === 'item') return Buffer.from(element.value.value ?? []).toString();
  return element.kind === 'tick' ? `tick ${element.atMs}` : element.kind;
}

function restoreFrom(barrier: Barrier): Pick<IngestOptions, 'restore'> {
  return { restore: { states: asStored(barrier.basket) } };
}

const TWO = [
  ['a0', 'a1', 'a2'],
  ['b0', 'b1'],
];

describe('ingest', () => {
  it('emits a restore mark, then records by offset, partitions in turn, and goes on with what arrives', async () => {
    const log = await WatchedLog.with(TWO);
    const states = new Map([['train', { state: 1 }]]);
    const restores: unknown[] = [];
    const bench = new Bench(log.topic('text'), { restore: { states } });
    const other = log.topic('text').pipe(ingest({ restore: { states } }));
    const listening = other.subscribe((element) => {
      if (element.kind === 'restore') restores.push(element.states);
    });
    await settle(3);
    expect(bench.seen).toEqual(['restore', 'a0', 'a1', 'a2', 'b0', 'b1']);
    await log.add([[], ['b2']]);
    await settle(3);
    expect(bench.seen.at(-1)).toBe('b2');
    expect(restores).toEqual([states]);
    bench.subscription.unsubscribe();
    listening.unsubscribe();
  });

  it('reads several topics, each from where it is told', async () => {
    const log = await WatchedLog.with([['old']]);
    await log.createTopic('more');
    await log.produce('more', [{ value: 'older' }]);
    const topics = merge(log.topic('text'), log.topic('more'));
    const latest = new Bench(topics, { from: 'latest' });
    const earliest = new Bench(topics);
    await settle(3);
    await log.produce('more', [{ value: 'new' }]);
    await settle(3);
    expect([latest.seen, earliest.seen]).toEqual([
      ['restore', 'new'],
      ['restore', 'old', 'older', 'new'],
    ]);
    latest.subscription.unsubscribe();
    earliest.subscription.unsubscribe();
  });

  it('ends with topic-missing without a topic, and with the error of the topics or of the log', async () => {
    await expect(lastValueFrom(EMPTY.pipe(ingest()))).rejects.toMatchObject({ code: 'topic-missing' });
    await expect(lastValueFrom(throwError(() => new Error('none')).pipe(ingest()))).rejects.toThrow('none');
    const log = await WatchedLog.with([['a']]);
    log.beforePoll = () => Promise.reject(new Error('of the log'));
    const bench = new Bench(log.topic('text'));
    await settle(3);
    expect([bench.errors, log.openReaders]).toEqual([[new Error('of the log')], 0]);
  });

  it('ends with state-invalid when its state cannot be read', async () => {
    const log = await WatchedLog.with([['a']]);
    const bench = new Bench(log.topic('text'), { restore: { states: new Map([['ingest', { state: 'junk' }]]) } });
    await settle(3);
    expect(bench.errors).toEqual([expect.objectContaining({ code: 'state-invalid' })]);
  });

  it('closes its reader when it is unsubscribed, whatever it waits for', async () => {
    const log = await WatchedLog.with([['a', 'b', 'c']]);
    const idle = new Bench(log.topic('text'));
    const full = new Bench(log.topic('text'), { window: 1 });
    full.isAbsorbing = false;
    const early = new Bench(log.topic('text'));
    early.subscription.unsubscribe();
    await settle(3);
    expect(log.openReaders).toBe(2);
    for (const { subscription } of [idle, full]) subscription.unsubscribe();
    await settle(3);
    expect([log.openReaders, early.seen, full.seen]).toEqual([0, [], ['restore', 'a']]);
    new Bench(NEVER).subscription.unsubscribe();
  });

  it('stops in the middle of a run when it is unsubscribed', async () => {
    const log = await WatchedLog.with([['a', 'b', 'c']]);
    const bench = new Bench(log.topic('text'), {}, ({ seen, subscription }) => {
      if (seen.at(-1) === 'b') subscription.unsubscribe();
    });
    await settle(3);
    expect([bench.seen, log.openReaders]).toEqual([['restore', 'a', 'b'], 0]);
  });

  it('keeps two subscriptions apart', async () => {
    const log = await WatchedLog.with(TWO);
    const topics = log.topic('text');
    const output = topics.pipe(ingest({ window: 1 }));
    const seen: string[] = [];
    const slow = output.subscribe();
    const quick = output.subscribe((element) => {
      seen.push(wordOf(element));
      if (element.kind === 'item') element.source.window.give(element.bytes);
    });
    await settle(10);
    expect(seen).toHaveLength(6);
    slow.unsubscribe();
    quick.unsubscribe();
  });
});

describe('the window of ingest', () => {
  it('holds records back while it is overdrawn', async () => {
    const log = await WatchedLog.with([['aaaa', 'bbbb', 'cccc']]);
    const bench = new Bench(log.topic('text'), { window: 5 });
    bench.isAbsorbing = false;
    await settle(5);
    expect([bench.seen, bench.source.window.inFlightBytes]).toEqual([['restore', 'aaaa', 'bbbb'], 8]);
    bench.source.window.give(4);
    await settle(5);
    expect([bench.seen.at(-1), bench.source.window.inFlightBytes]).toEqual(['cccc', 8]);
    bench.subscription.unsubscribe();
  });

  it('never deadlocks, however small, and counts keys too', async () => {
    const log = await WatchedLog.with([[]]);
    const records = Array.from({ length: 1000 }, (_, at) => ({ key: 'key', value: `value ${at}` }));
    await log.produce('text', records);
    const bench = new Bench(log.topic('text'), { window: '1B' });
    await bench.until(1001);
    expect(bench.source.window.inFlightBytes).toBe(0);
    bench.subscription.unsubscribe();
  });
});

describe('a cut of ingest', () => {
  it('comes at once while it waits for records, and while the window is full', async () => {
    const log = await WatchedLog.with([['a', 'b']]);
    const idle = new Bench(log.topic('text'));
    const full = new Bench(log.topic('text'), { window: 1 });
    full.isAbsorbing = false;
    await settle(3);
    await idle.cut();
    await full.cut();
    await full.cut();
    expect(idle.seen).toEqual(['restore', 'a', 'b', 'barrier']);
    expect(full.seen).toEqual(['restore', 'a', 'barrier', 'barrier']);
    for (const { subscription } of [idle, full]) subscription.unsubscribe();
  });

  it('is one for all periodic requests that wait, but a savepoint and a final cut are each let down', async () => {
    const log = await WatchedLog.with([[]]);
    const bench = new Bench(log.topic('text'));
    await settle(3);
    const reasons: readonly CutReason[] = ['timer', 'final', 'steps', 'savepoint', 'timer', 'steps', 'final'];
    for (const reason of reasons) bench.source.requestCut(reason);
    await settle(3);
    expect(bench.barriers.map(({ reason }) => reason)).toEqual(['savepoint', 'final']);
    for (const reason of ['timer', 'steps', 'timer'] as const) bench.source.requestCut(reason);
    await settle(3);
    expect(bench.barriers.map(({ reason }) => reason)).toEqual(['savepoint', 'final', 'steps']);
    bench.subscription.unsubscribe();
  });

  it('reports its offsets to the group when it is safe, and only with a group', async () => {
    const log = await WatchedLog.with(TWO);
    for (const options of [{}, { group: 'job' }]) {
      const bench = new Bench(log.topic('text'), options);
      await settle(3);
      const barrier = await bench.cut();
      expect(await log.committed('job', 'text')).toEqual([]);
      await bench.source.cutCommitted(barrier);
      bench.subscription.unsubscribe();
    }
    expect((await log.committed('job', 'text')).map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 3],
      [1, 2],
    ]);
  });

  it('is where a restart goes on, also from the middle of a run', async () => {
    for (const ledger of [new MemoryLedger(), undefined]) {
      const options = ledger ? { ledger } : {};
      const log = await WatchedLog.with([['a', 'b', 'c', 'd']]);
      const first = new Bench(log.topic('text'), options, ({ seen, source }) => {
        if (seen.at(-1) === 'b') source.requestCut('timer');
      });
      await settle(3);
      expect(first.seen).toEqual(['restore', 'a', 'b', 'barrier', 'c', 'd']);
      first.subscription.unsubscribe();
      const second = new Bench(
        log.topic('text'),
        { ...options, ...restoreFrom(first.lastBarrier) },
        ({ seen, source }) => {
          if (seen.at(-1) === 'c') source.requestCut('timer');
        },
      );
      await settle(3);
      expect(second.seen).toEqual(['restore', 'c', 'barrier', 'd']);
      second.subscription.unsubscribe();
      const third = new Bench(log.topic('text'), { ...options, ...restoreFrom(second.lastBarrier) });
      await settle(3);
      expect(third.seen).toEqual(['restore', 'd']);
      third.subscription.unsubscribe();
    }
  });

  it('remembers whose turn it is, so that what is in the log comes in one order', async () => {
    const log = await WatchedLog.with([['a0'], ['b0'], ['c0']]);
    const first = new Bench(log.topic('text'), {}, ({ seen, source, subscription }) => {
      if (seen.at(-1) === 'a0') source.requestCut('timer');
      if (seen.at(-1) === 'barrier') subscription.unsubscribe();
    });
    await settle(3);
    await log.add([['a1']]);
    const second = new Bench(log.topic('text'), restoreFrom(first.lastBarrier));
    await settle(3);
    expect(second.seen).toEqual(['restore', 'b0', 'c0', 'a1']);
    second.subscription.unsubscribe();
  });

  it('taken without a ledger is where one with a new ledger goes on', async () => {
    const log = await WatchedLog.with([['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']]);
    const cutBehind =
      (word: string) =>
      ({ seen, source }: Bench): void => {
        if (seen.at(-1) === word) source.requestCut('timer');
      };
    const first = new Bench(log.topic('text'), {}, cutBehind('b'));
    await settle(3);
    first.subscription.unsubscribe();
    const ledger = new MemoryLedger();
    const second = new Bench(log.topic('text'), { ledger, ...restoreFrom(first.lastBarrier) }, cutBehind('d'));
    await settle(3);
    second.subscription.unsubscribe();
    const third = new Bench(log.topic('text'), { ledger, ...restoreFrom(second.lastBarrier) });
    await settle(3);
    expect([third.seen, third.errors]).toEqual([['restore', 'e', 'f', 'g', 'h'], []]);
    third.subscription.unsubscribe();
  });
});

describe('the ledger of ingest', () => {
  it('has each run before its first record is emitted', async () => {
    const log = await WatchedLog.with(TWO);
    const ledger = new MemoryLedger();
    const durable = new Deferred<void>();
    const append = ledger.append.bind(ledger);
    ledger.append = async (entry) => {
      const after = await append(entry);
      await durable.promise;
      return after;
    };
    const bench = new Bench(log.topic('text'), { ledger });
    await settle(3);
    const run: LedgerEntry = { kind: 'run', topic: 'text', partition: 0, from: 0, count: 3 };
    expect([ledger.entries, bench.seen]).toEqual([[run], ['restore']]);
    durable.resolve();
    await settle(3);
    expect(bench.seen).toHaveLength(6);
    expect(ledger.entries).toEqual([run, { ...run, partition: 1, count: 2 }]);
    bench.subscription.unsubscribe();
  });

  it('gets nothing more once it is unsubscribed, even when records had been read', async () => {
    const log = await WatchedLog.with([['a']]);
    const ledger = new MemoryLedger();
    const bench = new Bench(log.topic('text'), { ledger });
    log.beforePoll = async () => bench.subscription.unsubscribe();
    await settle(3);
    expect([ledger.entries, bench.seen, bench.errors, log.openReaders]).toEqual([[], ['restore'], [], 0]);
  });

  it('is played again: records and ticks at the same places, then the stream is live', async () => {
    const log = await WatchedLog.with(TWO);
    const entries: readonly LedgerEntry[] = [
      { kind: 'run', topic: 'text', partition: 1, from: 0, count: 1 },
      { kind: 'tick', atMs: 77 },
      { kind: 'run', topic: 'text', partition: 0, from: 0, count: 2 },
    ];
    const ledger = new MemoryLedger(entries);
    const bench = new Bench(log.topic('text'), { ledger });
    await settle(5);
    expect(bench.seen).toEqual(['restore', 'b0', 'tick 77', 'a0', 'a1', 'b1', 'a2']);
    expect(ledger.entries.slice(0, 3)).toEqual(entries);
    bench.subscription.unsubscribe();
  });

  it('must fit the log', async () => {
    const log = await WatchedLog.with([['a', 'b']]);
    for (const entry of [
      { kind: 'run', topic: 'text', partition: 0, from: 0, count: 3 },
      { kind: 'run', topic: 'text', partition: 0, from: 2, count: 1 },
    ] as const) {
      const bench = new Bench(log.topic('text'), { ledger: new MemoryLedger([entry]) });
      await settle(5);
      expect(bench.errors).toEqual([expect.objectContaining({ code: 'offset-out-of-range' })]);
    }
  });

  it('holds the ticks, which come only while there is nothing to read', async () => {
    const log = await WatchedLog.with([['a']]);
    const ledger = new MemoryLedger();
    let nowMs = 1000;
    const bench = new Bench(log.topic('text'), { ledger, tickEvery: '10ms', clock: { nowMs: () => (nowMs += 5) } });
    await bench.until(4);
    bench.subscription.unsubscribe();
    const ticks = bench.seen.filter((word) => word.startsWith('tick'));
    expect(bench.seen.slice(0, 2)).toEqual(['restore', 'a']);
    expect(ledger.entries.slice(1).map((entry) => (entry.kind === 'tick' ? `tick ${entry.atMs}` : 'run'))).toEqual(
      ticks,
    );
  });

  it('makes a restart from any cut repeat what followed it', async () => {
    const bursts = fc.array(
      fc.array(fc.array(fc.constantFrom('x', 'yy', 'zzz'), { maxLength: 4 }), { minLength: 2, maxLength: 2 }),
      { minLength: 1, maxLength: 4 },
    );
    const places = fc.array(fc.nat({ max: 30 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(bursts, places, fc.constantFrom(1, 4, 1000), async (all, cutPlaces, window) => {
        const log = await WatchedLog.with([[], []]);
        const ledger = new MemoryLedger();
        const cuts = new Set(cutPlaces);
        let nowMs = 0;
        const clock = { nowMs: () => (nowMs += 1) };
        let count = 0;
        const numbered = all.map((burst) => burst.map((texts) => texts.map((text) => `${text}${count++}`)));
        const options = { ledger, window, clock, tickEvery: 7 };
        const cutAt = ({ seen, source }: Bench): void => {
          if (cuts.delete(seen.length)) source.requestCut('steps');
        };
        const whole = new Bench(log.topic('text'), options, cutAt);
        for (const burst of numbered) {
          await log.add(burst);
          await settle(2);
        }
        while (whole.seen.filter((word) => !/restore|barrier|tick/.test(word)).length < count) await settle();
        await settle(2);
        whole.subscription.unsubscribe();
        await settle();
        const story = whole.seen.filter((word) => word !== 'barrier');
        const decided = [...ledger.entries];
        for (const barrier of whole.barriers) {
          const at = whole.seen.slice(0, whole.seen.indexOf('barrier')).length;
          whole.seen.splice(at, 1);
          const again = new Bench(log.topic('text'), {
            ...options,
            ledger: new MemoryLedger(decided),
            ...restoreFrom(barrier),
          });
          const rest = story.slice(at);
          await again.until(rest.length + 1);
          again.subscription.unsubscribe();
          expect(again.errors).toEqual([]);
          expect(again.seen.slice(1, rest.length + 1)).toEqual(rest);
        }
      }),
      { numRuns: 40 },
    );
  });
});
