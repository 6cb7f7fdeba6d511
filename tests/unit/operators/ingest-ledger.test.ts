import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../../../operators/ports.ts';
import { IngestBench, TWO, WatchedLog, restoreFrom } from '../../support/ingest-bench.ts';
import { MemoryLedger } from '../../support/memory-stores.ts';
import { Deferred, settle } from '../../support/settle.ts';

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
    const bench = new IngestBench(log.topic('text'), { ledger });
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
    const bench = new IngestBench(log.topic('text'), { ledger });
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
    const bench = new IngestBench(log.topic('text'), { ledger });
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
      const bench = new IngestBench(log.topic('text'), { ledger: new MemoryLedger([entry]) });
      await settle(5);
      expect(bench.errors).toEqual([expect.objectContaining({ code: 'offset-out-of-range' })]);
    }
  });

  it('holds the ticks, which come only while there is nothing to read', async () => {
    const log = await WatchedLog.with([['a']]);
    const ledger = new MemoryLedger();
    let nowMs = 1000;
    const bench = new IngestBench(log.topic('text'), {
      ledger,
      tickEvery: '10ms',
      clock: { nowMs: () => (nowMs += 5) },
    });
    await bench.until(4);
    bench.subscription.unsubscribe();
    const ticks = bench.seen.filter((word) => word.startsWith('tick'));
    expect(bench.seen.slice(0, 2)).toEqual(['restore', 'a']);
    expect(ledger.entries.slice(1).map((entry) => (entry.kind === 'tick' ? `tick ${entry.atMs}` : 'run'))).toEqual(
      ticks,
    );
  });

  it('holds ticks that were asked for, each as soon as all is done and there is nothing to read', async () => {
    const log = await WatchedLog.with([['a']]);
    const ledger = new MemoryLedger();
    const bench = new IngestBench(log.topic('text'), { ledger, clock: { nowMs: () => 7 } }, ({ seen, source }) => {
      if (seen.at(-1) === 'restore' || seen.at(-1) === 'a') source.requestSpareTick();
    });
    bench.isAbsorbing = false;
    await bench.until(2);
    await settle(5);
    expect(bench.seen).toEqual(['restore', 'a']);
    bench.source.window.give(1);
    await bench.until(3);
    await log.add([['b']]);
    await bench.until(4);
    bench.subscription.unsubscribe();
    expect(bench.seen.slice(2)).toEqual(['tick 7 spare', 'b']);
    const again = new IngestBench(log.topic('text'), { ledger });
    await again.until(4);
    again.subscription.unsubscribe();
    expect(again.seen).toEqual(bench.seen);
  });

  it('holds none before it is known again, once the log was away, whether there is anything to read', async () => {
    const log = await WatchedLog.with([['a']]);
    let nowMs = 0;
    const bench = new IngestBench(log.topic('text'), { tickEvery: '1s', clock: { nowMs: () => nowMs } });
    await bench.until(2);
    const back = new Deferred<void>();
    log.beforePoll = () => back.promise;
    await bench.cut('steps');
    nowMs = 5000;
    await log.add([['b']]);
    bench.source.requestCut('timer');
    back.resolve();
    await bench.until(6);
    bench.subscription.unsubscribe();
    expect(bench.seen).toEqual(['restore', 'a', 'barrier', 'barrier', 'b', 'tick 5000']);
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
        const cutAt = ({ seen, source }: IngestBench): void => {
          if (cuts.delete(seen.length)) source.requestCut('steps');
        };
        const whole = new IngestBench(log.topic('text'), options, cutAt);
        for (const burst of numbered) {
          await log.add(burst);
          await settle(2);
        }
        while (whole.seen.filter((word) => !/restore|barrier|tick/.test(word)).length < count) await settle();
        await settle(2);
        whole.subscription.unsubscribe();
        await settle();
        const story = whole.seen.filter((word) => word !== 'barrier');
        const barrierPlaces = whole.seen.flatMap((word, at) => (word === 'barrier' ? [at] : []));
        const decided = [...ledger.entries];
        for (const [nth, barrier] of whole.barriers.entries()) {
          const rest = story.slice((barrierPlaces[nth] ?? 0) - nth);
          const again = new IngestBench(log.topic('text'), {
            ...options,
            ledger: new MemoryLedger(decided),
            ...restoreFrom(barrier),
          });
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
