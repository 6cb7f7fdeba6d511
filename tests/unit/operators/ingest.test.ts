import { EMPTY, NEVER, lastValueFrom, merge, throwError } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { ingest } from '../../../operators/ingest.ts';
import type { CutReason } from '../../../operators/types.ts';
import { IngestBench, TWO, WatchedLog, restoreFrom, wordOf } from '../../support/ingest-bench.ts';
import { MemoryLedger } from '../../support/memory-stores.ts';
import { settle } from '../../support/settle.ts';

/** Asks for a cut behind the record with this text. */
function cutBehind(text: string): (bench: IngestBench) => void {
  return ({ seen, source }) => {
    if (seen.at(-1) === text) source.requestCut('timer');
  };
}

describe('ingest', () => {
  it('emits a restore mark, then records by offset, partitions in turn, and goes on with what arrives', async () => {
    const log = await WatchedLog.with(TWO);
    const states = new Map([['train', { state: 1 }]]);
    const restores: unknown[] = [];
    const bench = new IngestBench(log.topic('text'), { restore: { states } });
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
    const latest = new IngestBench(topics, { from: 'latest' });
    const earliest = new IngestBench(topics);
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

  it('begins where the topics were said to end, and with partitions that came since at their start', async () => {
    const log = await WatchedLog.with([['old', 'while it started'], ['new partition']]);
    const ends = [{ topic: 'text', partition: 0, offset: 1 }];
    const latest = new IngestBench(log.topic('text'), { from: 'latest', ends });
    const positions = [{ topic: 'text', partition: 0, offset: 0 }];
    const states = new Map([['ingest', { state: { positions, ledger: 0, played: 0, lastRun: null } }]]);
    const known = new IngestBench(log.topic('text'), { from: 'latest', ends, restore: { states } });
    await settle(3);
    expect([latest.seen, known.seen]).toEqual([
      ['restore', 'while it started', 'new partition'],
      ['restore', 'old', 'while it started', 'new partition'],
    ]);
    latest.subscription.unsubscribe();
    known.subscription.unsubscribe();
  });

  it('ends with topic-missing without a topic, and with the error of the topics or of the log', async () => {
    await expect(lastValueFrom(EMPTY.pipe(ingest()))).rejects.toMatchObject({ code: 'topic-missing' });
    await expect(lastValueFrom(throwError(() => new Error('none')).pipe(ingest()))).rejects.toThrow('none');
    const log = await WatchedLog.with([['a']]);
    log.beforePoll = () => Promise.reject(new Error('of the log'));
    const bench = new IngestBench(log.topic('text'));
    await settle(3);
    expect([bench.errors, log.openReaders]).toEqual([[new Error('of the log')], 0]);
  });

  it('ends with state-invalid when its state cannot be read', async () => {
    const log = await WatchedLog.with([['a']]);
    const bench = new IngestBench(log.topic('text'), { restore: { states: new Map([['ingest', { state: 'junk' }]]) } });
    await settle(3);
    expect(bench.errors).toEqual([expect.objectContaining({ code: 'state-invalid' })]);
  });

  it('closes its reader when it is unsubscribed, whatever it waits for', async () => {
    const log = await WatchedLog.with([['a', 'b', 'c']]);
    const idle = new IngestBench(log.topic('text'));
    const full = new IngestBench(log.topic('text'), { window: 1 });
    full.isAbsorbing = false;
    const early = new IngestBench(log.topic('text'));
    early.subscription.unsubscribe();
    await settle(3);
    expect(log.openReaders).toBe(2);
    for (const { subscription } of [idle, full]) subscription.unsubscribe();
    await settle(3);
    expect([log.openReaders, early.seen, full.seen]).toEqual([0, [], ['restore', 'a']]);
    new IngestBench(NEVER).subscription.unsubscribe();
  });

  it('stops in the middle of a run when it is unsubscribed', async () => {
    const log = await WatchedLog.with([['a', 'b', 'c']]);
    const bench = new IngestBench(log.topic('text'), {}, ({ seen, subscription }) => {
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
    const bench = new IngestBench(log.topic('text'), { window: 5 });
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
    const bench = new IngestBench(log.topic('text'), { window: '1B' });
    await bench.until(1001);
    expect(bench.source.window.inFlightBytes).toBe(0);
    bench.subscription.unsubscribe();
  });
});

describe('a cut of ingest', () => {
  it('comes at once while it waits for records, and while the window is full', async () => {
    const log = await WatchedLog.with([['a', 'b']]);
    const idle = new IngestBench(log.topic('text'));
    const full = new IngestBench(log.topic('text'), { window: 1 });
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
    const bench = new IngestBench(log.topic('text'));
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

  it('is the last where another graph goes on, which then reads every record that this one did not', async () => {
    const log = await WatchedLog.with([['a', 'b', 'c', 'd']]);
    const ledger = new MemoryLedger();
    const bench = new IngestBench(log.topic('text'), { ledger }, ({ seen, source }) => {
      if (seen.at(-1) === 'b') source.requestCut('deploy');
    });
    await settle(3);
    await log.add([['e']]);
    bench.source.requestCut('savepoint');
    await settle(3);
    expect(bench.seen).toEqual(['restore', 'a', 'b', 'barrier']);
    bench.subscription.unsubscribe();
    const next = new IngestBench(log.topic('text'), { ledger, ...restoreFrom(bench.lastBarrier) });
    await settle(3);
    expect(next.seen).toEqual(['restore', 'c', 'd', 'e']);
    next.subscription.unsubscribe();
  });

  it('is not the last where only something changes there', async () => {
    const log = await WatchedLog.with([['a', 'b', 'c']]);
    const change = { tell: async () => {}, counts: Promise.resolve() };
    const bench = new IngestBench(log.topic('text'), {}, ({ seen, source }) => {
      if (seen.at(-1) === 'a') source.requestCut('deploy', change);
    });
    await settle(3);
    expect(bench.seen).toEqual(['restore', 'a', 'barrier', 'b', 'c']);
    expect(bench.lastBarrier).toMatchObject({ reason: 'deploy', change });
    bench.subscription.unsubscribe();
  });

  it('for another graph waits as long as an operator puts it off, while others are made and records flow', async () => {
    const log = await WatchedLog.with([['a']]);
    const bench = new IngestBench(log.topic('text'));
    await settle(3);
    const releases = [bench.source.holdDeploy(), bench.source.holdDeploy()];
    for (const reason of ['deploy', 'steps'] as const) bench.source.requestCut(reason);
    await log.add([['b']]);
    await settle(3);
    releases[0]?.();
    await settle(3);
    expect(bench.seen).toEqual(['restore', 'a', 'barrier', 'b']);
    releases[1]?.();
    await settle(3);
    expect(bench.barriers.map(({ reason }) => reason)).toEqual(['steps', 'deploy']);
    bench.subscription.unsubscribe();
  });

  it('reports its offsets to the group when it is safe, and only with a group', async () => {
    const log = await WatchedLog.with(TWO);
    for (const options of [{}, { group: 'job' }]) {
      const bench = new IngestBench(log.topic('text'), options);
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
      const first = new IngestBench(log.topic('text'), options, cutBehind('b'));
      await settle(3);
      expect(first.seen).toEqual(['restore', 'a', 'b', 'barrier', 'c', 'd']);
      first.subscription.unsubscribe();
      const second = new IngestBench(
        log.topic('text'),
        { ...options, ...restoreFrom(first.lastBarrier) },
        cutBehind('c'),
      );
      await settle(3);
      expect(second.seen).toEqual(['restore', 'c', 'barrier', 'd']);
      second.subscription.unsubscribe();
      const third = new IngestBench(log.topic('text'), { ...options, ...restoreFrom(second.lastBarrier) });
      await settle(3);
      expect(third.seen).toEqual(['restore', 'd']);
      third.subscription.unsubscribe();
    }
  });

  it('remembers whose turn it is, so that what is in the log comes in one order', async () => {
    const log = await WatchedLog.with([['a0'], ['b0'], ['c0']]);
    const first = new IngestBench(log.topic('text'), {}, ({ seen, source, subscription }) => {
      if (seen.at(-1) === 'a0') source.requestCut('timer');
      if (seen.at(-1) === 'barrier') subscription.unsubscribe();
    });
    await settle(3);
    await log.add([['a1']]);
    const second = new IngestBench(log.topic('text'), restoreFrom(first.lastBarrier));
    await settle(3);
    expect(second.seen).toEqual(['restore', 'b0', 'c0', 'a1']);
    second.subscription.unsubscribe();
  });

  it('taken without a ledger is where one with a new ledger goes on', async () => {
    const log = await WatchedLog.with([['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']]);
    const first = new IngestBench(log.topic('text'), {}, cutBehind('b'));
    await settle(3);
    first.subscription.unsubscribe();
    const ledger = new MemoryLedger();
    const second = new IngestBench(log.topic('text'), { ledger, ...restoreFrom(first.lastBarrier) }, cutBehind('d'));
    await settle(3);
    second.subscription.unsubscribe();
    const third = new IngestBench(log.topic('text'), { ledger, ...restoreFrom(second.lastBarrier) });
    await settle(3);
    expect([third.seen, third.errors]).toEqual([['restore', 'e', 'f', 'g', 'h'], []]);
    third.subscription.unsubscribe();
  });
});
