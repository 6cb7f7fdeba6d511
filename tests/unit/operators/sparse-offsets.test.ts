import { from, lastValueFrom } from 'rxjs';
import { expect, it } from 'vitest';
import { publish } from '../../../operators/publish.ts';
import { TestSource } from '../../support/elements.ts';
import { IngestBench, TWO, restoreFrom } from '../../support/ingest-bench.ts';
import { MemoryLedger } from '../../support/memory-stores.ts';
import { readTopic } from '../../support/read-topic.ts';
import { settle } from '../../support/settle.ts';
import { SparseLog } from '../../support/sparse-log.ts';

async function sparseLog(texts: readonly (readonly string[])[]): Promise<SparseLog> {
  const log = new SparseLog();
  await log.createTopic('text', { partitions: texts.length });
  await log.produce(
    'text',
    texts.flatMap((all, partition) => all.map((value) => ({ value, partition }))),
  );
  return log;
}

it.each([1, 2, 3, 4, 5])(
  'ingest repeats from a cut at %i what followed it, over gaps between offsets',
  async (place) => {
    const log = await sparseLog(TWO);
    const ledger = new MemoryLedger();
    let isAsked = false;
    const whole = new IngestBench(log.topic('text'), { ledger }, ({ seen, source }) => {
      if (seen.length === place && !isAsked) source.requestCut('steps');
      isAsked ||= seen.length === place;
    });
    await whole.until(7);
    whole.subscription.unsubscribe();
    const rest = whole.seen.slice(whole.seen.indexOf('barrier') + 1);
    const again = new IngestBench(log.topic('text'), {
      ledger: new MemoryLedger(ledger.entries),
      ...restoreFrom(whole.lastBarrier),
    });
    await again.until(rest.length + 1);
    await settle(3);
    again.subscription.unsubscribe();
    expect([again.seen, again.errors]).toEqual([['restore', ...rest], []]);
  },
);

it('ingest goes on after a gap at the end, once there is more', async () => {
  const log = await sparseLog([['a', 'b']]);
  const bench = new IngestBench(log.topic('text'), { ledger: new MemoryLedger() });
  await bench.until(3);
  await log.produce('text', [{ value: 'c' }]);
  await bench.until(4);
  bench.subscription.unsubscribe();
  expect(bench.seen).toEqual(['restore', 'a', 'b', 'c']);
});

it('publish finds its last record before a gap at the end', async () => {
  const log = await sparseLog([[]]);
  const source = new TestSource();
  const flow = [source.restore(), source.item(1), source.item(2)];
  const options = { uid: 'publish', log, topic: 'text', toRecord: (value: number) => ({ value: String(value) }) };
  for (let life = 0; life < 2; life += 1) await lastValueFrom(from(flow).pipe(publish(options)));
  expect((await readTopic(log, 'text')).map(({ value }) => String(value))).toEqual(['1', '2']);
});
