import * as fc from 'fast-check';
import { merge } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { ingestKind } from '../../../operators/ingest-kind.ts';
import type { MixWeights } from '../../../operators/turns.ts';
import { IngestBench, restoreFrom } from '../../support/ingest-bench.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryLedger } from '../../support/memory-stores.ts';
import { settle } from '../../support/settle.ts';

/** Larger than a run of a mix, so that each run is one record. */
const LARGE = 9000;

/** A log with topics of so many records in each partition; a record's text begins with its topic. */
async function logWith(topics: Readonly<Record<string, readonly number[]>>, bytes = LARGE): Promise<MemoryLog> {
  const log = new MemoryLog();
  for (const [name, counts] of Object.entries(topics)) {
    await log.createTopic(name, { partitions: counts.length });
    for (const [partition, count] of counts.entries()) await add(log, name, count, partition, bytes);
  }
  return log;
}

async function add(log: MemoryLog, topic: string, count: number, partition = 0, bytes = LARGE): Promise<void> {
  const records = Array.from({ length: count }, () => ({ value: topic.padEnd(bytes, `${partition}`), partition }));
  if (count > 0) await log.produce(topic, records);
}

/** `ingest` over topics a, b and perhaps c. */
function mixed(log: MemoryLog, mix: MixWeights, options: object = {}, names: string = 'ab'): IngestBench {
  return new IngestBench(merge(...Array.from(names, (name) => log.topic(name))), { mix, ...options });
}

/** The topics of what was seen, in order. */
function order({ seen }: IngestBench): string {
  return seen
    .filter((word) => word.length > 20)
    .map((word) => word.slice(0, 1))
    .join('');
}

describe('a mix of topics', () => {
  it('gives each topic bytes by its weight, all the way', async () => {
    const log = await logWith({ a: [60], b: [60], c: [60] });
    const bench = mixed(log, { a: 3, b: 2 }, {}, 'abc');
    await bench.until(61);
    bench.subscription.unsubscribe();
    for (const place of [12, 30, 60]) {
      const part = order(bench).slice(0, place);
      const shares = ['a', 'b', 'c'].map((topic) => part.split(topic).length - 1);
      expect([3, 2, 1].map((weight, at) => Math.abs((shares[at] ?? 0) - (weight * place) / 6))).toEqual(
        shares.map(() => expect.toSatisfy((off: number) => off <= 1)),
      );
    }
  });

  it('counts bytes, not records', async () => {
    const log = await logWith({ a: [20], b: [0] });
    await add(log, 'b', 200, 0, LARGE / 10);
    const bench = mixed(log, { a: 1, b: 1 });
    await bench.until(150);
    bench.subscription.unsubscribe();
    const part = order(bench).slice(0, 110);
    expect(part.split('b').length - 1).toBeGreaterThan(90);
    expect(part.split('a').length - 1).toBeGreaterThan(8);
  });

  it('passes a topic over that has nothing, and gives it no more later', async () => {
    const log = await logWith({ a: [4], b: [0] });
    const bench = mixed(log, { a: 1, b: 9 });
    await bench.until(5);
    await settle(3);
    // The one that waits is woken by whatever comes.
    await Promise.all([add(log, 'a', 4), add(log, 'b', 40)]);
    await bench.until(30);
    bench.subscription.unsubscribe();
    expect(order(bench).slice(0, 4)).toBe('aaaa');
    expect(order(bench).slice(4, 26).split('a').length - 1).toBeGreaterThanOrEqual(2);
  });

  it('lets the partitions of a topic take turns, whatever other topics have', async () => {
    const log = await logWith({ a: [3, 3], b: [6] });
    const bench = mixed(log, {});
    await bench.until(13);
    bench.subscription.unsubscribe();
    const partitions = bench.seen.filter((word) => word.startsWith('a')).map((word) => word.at(-1));
    expect(partitions.join('')).toBe('010101');
  });

  it('goes on behind a cut as if there had been none, and is played again alike', async () => {
    const story = fc.record({
      counts: fc.tuple(fc.nat({ max: 6 }), fc.nat({ max: 6 }), fc.nat({ max: 6 })),
      mix: fc.record({ a: fc.constantFrom(1, 2.5), b: fc.constantFrom(1, 4) }),
      cutAt: fc.nat({ max: 20 }),
      later: fc.nat({ max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(story, async ({ counts: [a0, a1, b], mix, cutAt, later }) => {
        const all = a0 + a1 + b;
        const log = await logWith({ a: [a0, a1], b: [b] }, 5000);
        const ledger = new MemoryLedger();
        const calm = mixed(log, mix);
        await calm.until(all + 1);
        calm.subscription.unsubscribe();

        let isAsked = false;
        const cut = (bench: IngestBench): void => {
          if (isAsked || bench.seen.length <= Math.min(cutAt, all)) return;
          isAsked = true;
          bench.source.requestCut('timer');
        };
        const first = new IngestBench(merge(log.topic('a'), log.topic('b')), { mix, ledger }, cut);
        await first.until(all + 2);
        await settle(3);
        first.subscription.unsubscribe();
        expect(order(first)).toBe(order(calm));

        const before = first.seen.indexOf('barrier') - 1;
        const again = mixed(log, mix, { ledger, ...restoreFrom(first.lastBarrier) });
        await again.until(all - before + 1);
        await add(log, 'b', later);
        await again.until(all - before + 1 + later);
        again.subscription.unsubscribe();
        expect(order(again)).toBe(order(calm).slice(before) + 'b'.repeat(later));
      }),
      { numRuns: 40 },
    );
  });

  it('weighs topics that are read only', () => {
    expect([issueOf({ a: 2 }), issueOf({ a: 2, b: 0.5 })]).toEqual([undefined, undefined]);
    expect(issueOf({ c: 1 })).toMatchObject({ path: ['mix'] });
    expect(issueOf({ a: 0 })).toMatchObject({ path: ['mix', 'a'] });
  });
});

function issueOf(mix: object): unknown {
  return ingestKind.config.safeParse({ topics: ['a', 'b'], mix }).error?.issues[0];
}
