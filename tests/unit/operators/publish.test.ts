import { Observable, Subject, concat, from, lastValueFrom, tap, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Element } from '../../../operators/flow.ts';
import { jsonFormat, textFormat } from '../../../operators/formats.ts';
import { publish, reportRecord } from '../../../operators/publish.ts';
import type { PublishOptions } from '../../../operators/publish.ts';
import type { LogRecord, Report } from '../../../operators/types.ts';
import { TestSource, asStored, valuesOf } from '../../support/elements.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { Deferred, settle } from '../../support/settle.ts';

const source = new TestSource();

async function logWith(partitions = 1): Promise<MemoryLog> {
  const log = new MemoryLog();
  await log.createTopic('out', { partitions });
  return log;
}

function optionsOf(log: MemoryLog, changes: Partial<PublishOptions<number>> = {}): PublishOptions<number> {
  return {
    uid: 'publish',
    log,
    topic: 'out',
    toRecord: (value) => ({ key: `k${value}`, value: `${value}` }),
    ...changes,
  };
}

async function recordsOf(log: MemoryLog): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for (const { topic, partition, start, end } of await log.offsets('out')) {
    const reader = log.reader([{ topic, partition, offset: start }]);
    if (end > start) records.push(...(await reader.poll({ maxRecords: end - start })));
  }
  return records;
}

function textsOf(records: readonly LogRecord[]): string[] {
  return records.map(({ value }) => Buffer.from(value ?? []).toString());
}

function numbers(from: number, to: number): Element<number>[] {
  return Array.from({ length: to - from }, (_, at) => source.item(from + at));
}

describe('publish', () => {
  it('produces a numbered record per value, and passes items and marks on in order', async () => {
    const log = await logWith();
    const flow = [source.restore(), source.item(1, 5), source.tick(1), source.item(2, 6), source.barrier()];
    const headers = { colour: 'red' };
    const toRecord = (value: number) => ({ value: String(value), headers });
    const output = from(flow).pipe(publish(optionsOf(log, { toRecord, publisher: 'job/publish' })), toArray());
    expect(await lastValueFrom(output)).toEqual(flow);
    expect((await recordsOf(log)).map((record) => record.headers)).toEqual([
      { colour: 'red', 'millrace-sequence': '1', 'millrace-publisher': 'job/publish' },
      { colour: 'red', 'millrace-sequence': '2', 'millrace-publisher': 'job/publish' },
    ]);
  });

  it('passes a value on only when the log has its record', async () => {
    const log = await logWith();
    const produced = new Deferred<void>();
    const produce = log.produce.bind(log);
    log.produce = async (...args) => {
      await produced.promise;
      return produce(...args);
    };
    const seen: unknown[] = [];
    from(numbers(0, 1))
      .pipe(publish(optionsOf(log)))
      .subscribe((element) => seen.push(element));
    await settle();
    expect(seen).toEqual([]);
    produced.resolve();
    await settle();
    expect(seen).toHaveLength(1);
  });

  it.each([1, 3])('produces nothing twice after a restart, over %i partition(s)', async (partitions) => {
    const log = await logWith(partitions);
    const options = optionsOf(log);
    const barrier = source.barrier();
    const before = [source.restore(), ...numbers(0, 4), barrier, ...numbers(4, 9)];
    await lastValueFrom(from(before).pipe(publish(options)));
    const again = [source.restore(asStored(barrier.basket)), ...numbers(4, 15)];
    const output = await lastValueFrom(from(again).pipe(publish(options), toArray()));
    expect(valuesOf(output)).toEqual(valuesOf(again));
    expect(new Set(textsOf(await recordsOf(log)))).toEqual(new Set(valuesOf(numbers(0, 15)).map(String)));
    expect(await recordsOf(log)).toHaveLength(15);
  });

  it('produces nothing twice when it died before its first cut', async () => {
    const log = await logWith();
    const flow = [source.restore(), ...numbers(0, 4)];
    for (let life = 0; life < 3; life++) await lastValueFrom(from(flow).pipe(publish(optionsOf(log))));
    expect(textsOf(await recordsOf(log))).toEqual(['0', '1', '2', '3']);
  });

  it("does not take another publisher's records for its own", async () => {
    const log = await logWith();
    const flow = [source.restore(), ...numbers(0, 2)];
    await lastValueFrom(from(flow).pipe(publish(optionsOf(log, { publisher: 'other' }))));
    await lastValueFrom(from(flow).pipe(publish(optionsOf(log))));
    expect(textsOf(await recordsOf(log))).toEqual(['0', '1', '0', '1']);
  });

  it('produces nothing twice while others write to the topic, also when it dies as it repeats itself', async () => {
    const log = await logWith();
    const other = (): Promise<unknown> =>
      log.produce('out', [{ value: 'other', headers: { 'millrace-publisher': 'other', 'millrace-sequence': '99' } }]);
    const [early, late] = [source.barrier(), source.barrier()];
    await lastValueFrom(
      from([source.restore(), ...numbers(0, 2), early, ...numbers(2, 6)]).pipe(publish(optionsOf(log))),
    );
    await other();
    const again = [source.restore(asStored(early.basket)), ...numbers(2, 4), late];
    await lastValueFrom(from(again).pipe(publish(optionsOf(log))));
    await other();
    const third = [source.restore(asStored(late.basket)), ...numbers(4, 8)];
    await lastValueFrom(from(third).pipe(publish(optionsOf(log))));
    expect(textsOf(await recordsOf(log))).toEqual(['0', '1', '2', '3', '4', '5', 'other', 'other', '6', '7']);
  });

  it('produces anew, under another name, what follows a cut behind which all was undone', async () => {
    const log = await logWith();
    const barrier = source.barrier();
    const before = [source.restore(), ...numbers(0, 2), barrier, ...numbers(2, 4)];
    await lastValueFrom(from(before).pipe(publish(optionsOf(log))));
    const after = [{ ...source.restore(asStored(barrier.basket)), timeline: 7 }, ...numbers(20, 21)];
    for (let life = 0; life < 2; life++) await lastValueFrom(from(after).pipe(publish(optionsOf(log))));
    const records = await recordsOf(log);
    expect(textsOf(records)).toEqual(['0', '1', '2', '3', '20']);
    expect(records.at(-1)?.headers).toEqual({ 'millrace-sequence': '3', 'millrace-publisher': 'publish~7' });
  });

  it('lets no other graph go on before it has repeated what the topic has already', async () => {
    const log = await logWith();
    const barrier = source.barrier();
    const before = [source.restore(), ...numbers(0, 2), barrier, ...numbers(2, 5)];
    await lastValueFrom(from(before).pipe(publish(optionsOf(log))));
    const holds: number[] = [];
    const again = new TestSource();
    const values = [2, 3, 4, 5].map((value) => again.item(value));
    await lastValueFrom(
      from([again.restore(asStored(barrier.basket)), ...values]).pipe(
        publish(optionsOf(log)),
        tap(() => holds.push(again.holds)),
      ),
    );
    expect(holds).toEqual([1, 1, 1, 0, 0]);
  });

  it('produces every value again where the stream does not repeat itself', async () => {
    const log = await logWith();
    const flow = [source.restore(), ...numbers(0, 2)];
    for (let life = 0; life < 2; life++) {
      await lastValueFrom(from(flow).pipe(publish(optionsOf(log, { exactlyOnce: false }))));
    }
    expect(textsOf(await recordsOf(log))).toEqual(['0', '1', '0', '1']);
  });

  it('counts for each subscription by itself', async () => {
    const log = await logWith();
    const output = from(numbers(0, 2)).pipe(publish(optionsOf(log)));
    await lastValueFrom(output);
    await lastValueFrom(output);
    const sequences = (await recordsOf(log)).map(({ headers }) => headers['millrace-sequence']);
    expect(sequences).toEqual(['1', '2', '1', '2']);
  });

  it("ends with the log's error and with the source's, also when its state cannot be read", async () => {
    const log = await logWith();
    const missing = from([source.restore()]).pipe(publish(optionsOf(log, { topic: 'none' })));
    await expect(lastValueFrom(missing)).rejects.toMatchObject({ code: 'topic-missing' });
    const junk = from([source.restore({ publish: { state: 'junk' } })]).pipe(publish(optionsOf(log)));
    await expect(lastValueFrom(junk)).rejects.toMatchObject({ code: 'state-invalid' });
    const failing = concat(
      from(numbers(0, 1)),
      new Observable<never>((each) => each.error(new Error('of the source'))),
    );
    await expect(lastValueFrom(failing.pipe(publish(optionsOf(log))))).rejects.toThrow('of the source');
    const closed = log.another();
    await closed.close();
    const output = from(numbers(0, 1)).pipe(publish(optionsOf(closed)));
    await expect(lastValueFrom(output)).rejects.toMatchObject({ code: 'log-closed' });
  });

  it('produces nothing more after unsubscribing', async () => {
    const log = await logWith();
    const input = new Subject<Element<number>>();
    const subscription = input.pipe(publish(optionsOf(log))).subscribe();
    for (const element of numbers(0, 3)) input.next(element);
    subscription.unsubscribe();
    await settle(3);
    expect(input.observed).toBe(false);
    expect(textsOf(await recordsOf(log))).toEqual(['0']);
  });
});

describe('reportRecord', () => {
  it("keys an answer's deltas by their prompt, and other reports by their kind", async () => {
    const weights = { id: 'w', step: 1 };
    const at = { topic: 'prompts', partition: 0, offset: 1 };
    const generation: Report = { event: 'generation', id: 'p1', at, index: 0, text: 'hi', weights, finish: null };
    expect(await reportRecord(generation)).toEqual({ key: 'p1', value: Buffer.from(JSON.stringify(generation)) });
    const info = { id: 'c', reason: 'timer', bytes: 1, durationMs: 2, path: '/c' } as const;
    const report: Report = { event: 'checkpoint', ...info };
    expect(await reportRecord(report)).toEqual({ key: 'checkpoint', value: Buffer.from(JSON.stringify(report)) });
    expect(await reportRecord(report, jsonFormat())).toEqual(await reportRecord(report));
    expect(await reportRecord(generation, textFormat)).toEqual({ key: 'p1', value: Buffer.from('hi') });
    await expect(reportRecord(report, textFormat)).rejects.toMatchObject({ code: 'value-unfit' });
  });
});
