import { describe, expect, it } from 'vitest';
import { Subject } from 'rxjs';
import type { Observable } from 'rxjs';
import { MillraceError } from '../../../operators/errors.ts';
import type { Assignment, Assignments } from '../../../operators/ports.ts';
import { IngestBench, WatchedLog, restoreFrom } from '../../support/ingest-bench.ts';
import { MemoryLedger } from '../../support/memory-stores.ts';
import { settle } from '../../support/settle.ts';

/** Nothing is shared; partitions are found when the test says so. */
class Found implements Assignments {
  readonly group = null;
  readonly #found = new Subject<Assignment>();

  async counted(): Promise<null> {
    return null;
  }

  watch(): Observable<Assignment> {
    return this.#found;
  }

  partitions(count: number): void {
    const partitions = Array.from({ length: count }, (_, partition) => ({ topic: 'text', partition, offset: null }));
    this.#found.next({ partitions, commit: async () => {} });
  }

  fail(error: Error): void {
    this.#found.error(error);
  }
}

async function started(log: WatchedLog, options: object = {}): Promise<{ bench: IngestBench; found: Found }> {
  const found = new Found();
  const bench = new IngestBench(log.topic('text'), { assignments: found, ...options });
  await settle(2);
  found.partitions(1);
  await settle(5);
  return { bench, found };
}

describe('partitions that are added to a topic', () => {
  const TEXTS: readonly (readonly string[])[] = [['a0'], ['b0', 'b1']];

  it('are read from their start, whatever the topic is read from, behind a cut', async () => {
    for (const from of ['earliest', 'latest'] as const) {
      const log = await WatchedLog.with(TEXTS);
      const { bench, found } = await started(log, { from });
      found.partitions(2);
      await settle(5);
      await log.add([['a1'], []]);
      await settle(5);
      const [restore, ...rest] = bench.seen;
      expect([restore, ...rest.filter((word) => word !== 'a0')]).toEqual(['restore', 'barrier', 'b0', 'b1', 'a1']);
      expect([bench.barriers.length, log.openReaders]).toEqual([1, 1]);
      bench.subscription.unsubscribe();
    }
  });

  it('are played again in the order in which they came', async () => {
    const [log, ledger] = [await WatchedLog.with(TEXTS), new MemoryLedger()];
    const { bench, found } = await started(log, { ledger });
    found.partitions(2);
    await settle(5);
    bench.subscription.unsubscribe();
    const again = await started(log, { ledger });
    again.found.partitions(2);
    await settle(5);
    expect(again.bench.seen.filter((word) => word !== 'barrier')).toEqual(['restore', 'a0', 'b0', 'b1']);
    again.bench.subscription.unsubscribe();
  });

  it('are read from their start by a job that was not running when they were added', async () => {
    const log = await WatchedLog.with(TEXTS);
    const { bench } = await started(log, { from: 'latest' });
    const barrier = await bench.cut();
    bench.subscription.unsubscribe();
    const again = new IngestBench(log.topic('text'), { from: 'latest', ...restoreFrom(barrier) });
    await settle(5);
    expect(again.seen).toEqual(['restore', 'b0', 'b1']);
    again.subscription.unsubscribe();
  });
});

describe('a topic that is deleted', () => {
  it('ends the flow behind a last cut, whoever finds out', async () => {
    const gone = new MillraceError('topic-missing', 'There is no topic text.');
    for (const who of ['reader', 'look']) {
      const log = await WatchedLog.with([['a0']]);
      const { bench, found } = await started(log);
      if (who === 'look') found.fail(gone);
      else log.beforePoll = () => Promise.reject(gone);
      if (who === 'reader') await log.add([['a1']]);
      await settle(5);
      expect([bench.seen, bench.errors]).toEqual([
        ['restore', 'a0', ...(who === 'reader' ? ['a1'] : []), 'barrier'],
        [],
      ]);
      await bench.source.cutCommitted(bench.lastBarrier);
      await settle(5);
      expect(bench.errors).toEqual([
        expect.objectContaining({
          code: 'topic-missing',
          message: expect.stringMatching(/no topic text.*last checkpoint/),
        }),
      ]);
      expect(log.openReaders).toBe(0);
    }
  });
});
