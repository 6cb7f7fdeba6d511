import { beforeEach, describe, expect, it } from 'vitest';
import type { Barrier } from '../../../operators/flow.ts';
import type { IngestOptions } from '../../../operators/ingest-options.ts';
import { IngestBench, WatchedLog, restoreFrom } from '../../support/ingest-bench.ts';
import { MemoryDeadLetters, MemoryLedger, deadLettersThatFail } from '../../support/memory-stores.ts';
import { settle } from '../../support/settle.ts';

const onDataLoss = 'earliest';

describe('ingest that retention has overtaken', () => {
  let log: WatchedLog;
  let ledger: MemoryLedger;
  let deadLetters: MemoryDeadLetters;
  let cut: Barrier;

  /** All is read and cut; then more comes, of which the first are dropped. */
  beforeEach(async () => {
    log = await WatchedLog.with([['a0', 'a1'], ['b0']]);
    ledger = new MemoryLedger();
    deadLetters = new MemoryDeadLetters();
    const bench = new IngestBench(log.topic('text'), { ledger });
    await bench.until(4);
    cut = await bench.cut();
    bench.subscription.unsubscribe();
    await log.add([['a2'], ['b1', 'b2', 'b3', 'b4']]);
  });

  async function goOn(options: IngestOptions, count: number): Promise<IngestBench> {
    const bench = new IngestBench(log.topic('text'), { ledger, deadLetters, ...restoreFrom(cut), ...options });
    await bench.until(count);
    await settle(3);
    bench.subscription.unsubscribe();
    return bench;
  }

  it('ends with an error that names what is lost', async () => {
    log.drop({ topic: 'text', partition: 1, offset: 3 });
    const bench = await goOn({}, 9);
    expect(bench.errors).toEqual([
      expect.objectContaining({
        code: 'offset-out-of-range',
        message: expect.stringContaining('Offsets 1 to 2 of text/1'),
      }),
    ]);
    expect([ledger.entries.length, deadLetters.letters, log.openReaders]).toEqual([3, [], 0]);
  });

  it('goes on behind it when it is told to, and says so in ledger and dead letters', async () => {
    log.drop({ topic: 'text', partition: 1, offset: 3 });
    const bench = await goOn({ onDataLoss }, 4);
    expect(bench.seen).toEqual(['restore', 'a2', 'b3', 'b4']);
    const lost = { kind: 'lost', topic: 'text', partition: 1, from: 1, to: 3 };
    expect(ledger.entries.slice(2).map(({ kind }) => kind)).toEqual(['run', 'lost', 'run']);
    expect(ledger.entries[3]).toEqual(lost);
    expect(deadLetters.letters).toEqual([
      {
        at: { topic: 'text', partition: 1, offset: 1 },
        code: 'offset-out-of-range',
        message: expect.stringMatching(/Offsets 1 to 2 of text\/1 are gone.* from 3/),
        key: null,
        value: null,
      },
    ]);
  });

  it('repeats that after a restart', async () => {
    log.drop({ topic: 'text', partition: 1, offset: 3 });
    const first = await goOn({ onDataLoss }, 4);
    const before = [...ledger.entries];
    const second = await goOn({ onDataLoss }, 4);
    expect(second.seen).toEqual(first.seen);
    expect([ledger.entries, deadLetters.letters.length]).toEqual([before, 1]);
    expect(second.timelines).toEqual([0]);
  });

  it('undoes what it can not play again, and the next run goes on behind it', async () => {
    const whole = await goOn({ onDataLoss }, 6);
    expect(whole.seen).toEqual(['restore', 'a2', 'b1', 'b2', 'b3', 'b4']);
    log.drop({ topic: 'text', partition: 1, offset: 3 });

    const shortened = await goOn({ onDataLoss }, 9);
    expect(shortened.seen).toEqual(['restore', 'a2']);
    expect(shortened.errors).toEqual([expect.objectContaining({ code: 'replay-cut-short' })]);
    expect(ledger.entries.slice(4)).toEqual([
      { kind: 'undo', to: { entry: 3, played: 0 } },
      { kind: 'lost', topic: 'text', partition: 1, from: 1, to: 3 },
    ]);

    const next = await goOn({ onDataLoss }, 4);
    expect([next.seen, next.errors]).toEqual([['restore', 'a2', 'b3', 'b4'], []]);
    expect(next.timelines).toEqual([5]);
    expect((await goOn({ onDataLoss }, 4)).seen).toEqual(next.seen);
    expect(deadLetters.letters).toHaveLength(1);
  });

  it('stops before it when that can not be written to the dead letters', async () => {
    log.drop({ topic: 'text', partition: 1, offset: 3 });
    const bench = await goOn({ onDataLoss, deadLetters: deadLettersThatFail }, 9);
    expect(bench.errors).toEqual([expect.objectContaining({ code: 'dead-letter-failed' })]);
    expect(ledger.entries).toHaveLength(3);
  });

  it('ends all the same when it is ahead of the log, which nothing was dropped of', async () => {
    const other = await WatchedLog.with([['a0'], ['b0']]);
    const bench = new IngestBench(other.topic('text'), { onDataLoss, ...restoreFrom(cut) });
    await settle(5);
    expect(bench.errors).toEqual([expect.objectContaining({ code: 'offset-out-of-range' })]);
  });
});
