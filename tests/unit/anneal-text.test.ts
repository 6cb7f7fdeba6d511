import * as fc from 'fast-check';
import { lastValueFrom, take, toArray } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { isItem } from '../../operators/flow.ts';
import { plainFormat } from '../../operators/formats.ts';
import type { Span, TokenBatch } from '../../operators/types.ts';
import { newestSeen, recordsOf } from '../../pipelines/anneal/past-text.ts';
import { pastBatches } from '../../pipelines/anneal/past-batches.ts';
import { trainingStream } from '../../pipelines/spec/streams.ts';
import { byteTokenizer } from '../support/byte-tokenizer.ts';
import { graphOf } from '../support/graphs.ts';
import { jobGraph } from '../support/job-graph.ts';
import { MemoryLog } from '../support/memory-log.ts';

/** Topic `text`, with so many records in each partition; each says where it stands. */
async function logWith(counts: readonly number[]): Promise<MemoryLog> {
  const log = new MemoryLog();
  await log.createTopic('text', { partitions: counts.length });
  for (const [partition, count] of counts.entries()) {
    const records = Array.from({ length: count }, (_, at) => ({ value: `record ${partition}:${at}. `, partition }));
    await log.produce('text', records);
  }
  return log;
}

function span(partition: number, from: number, to: number): Span {
  return { topic: 'text', partition, from, to };
}

describe('newestSeen', () => {
  test('is the last share of what was learnt, as far as it is still there', async () => {
    const log = await logWith([100, 10]);
    const watermark = { 'text/0': 80, 'text/1': 10, 'other/0': 5 };
    expect(await newestSeen(log, ['text'], watermark, 0.25)).toEqual([span(0, 60, 80), span(1, 7, 10)]);
    expect(await newestSeen(log, ['text'], { 'text/0': 1 }, 0.001)).toEqual([span(0, 0, 1)]);
    expect(await newestSeen(log, ['text'], watermark, 1)).toEqual([span(0, 0, 80), span(1, 0, 10)]);
    await expect(newestSeen(log, ['text'], {}, 1)).rejects.toThrow('Nothing is left');
  });
});

describe('recordsOf', () => {
  test('emits each record of the spans once, by offset, partitions in turn, and completes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(200), { minLength: 1, maxLength: 3 }), fc.nat(50), async (counts, from) => {
        const log = await logWith(counts);
        const spans = counts.map((count, partition) => span(partition, Math.min(from, count), count));
        const elements = await lastValueFrom(
          recordsOf(
            log,
            spans.filter((each) => each.from < each.to),
          ).pipe(toArray()),
        );
        const places = elements.filter(isItem).map(({ value }) => `${value.partition}/${value.offset}`);
        expect(elements[0]?.kind).toBe('restore');
        const wanted = spans.flatMap((each) =>
          Array.from({ length: each.to - each.from }, (_, at) => `${each.partition}/${each.from + at}`),
        );
        expect(places.toSorted()).toEqual(wanted.toSorted());
        for (const { partition } of spans) {
          const own = places.filter((place) => place.startsWith(`${partition}/`));
          expect(own).toEqual(wanted.filter((place) => place.startsWith(`${partition}/`)));
        }
      }),
      { numRuns: 30 },
    );
  });

  test('stops where nobody listens any more, and where the window is full', async () => {
    const log = await logWith([]);
    await log.createTopic('long', { partitions: 1 });
    await log.produce(
      'long',
      Array.from({ length: 8 }, () => ({ value: 'x'.repeat(400_000) })),
    );
    const long = [{ topic: 'long', partition: 0, from: 0, to: 8 }];
    const first = await lastValueFrom(recordsOf(log, long).pipe(take(2), toArray()));
    expect(first.map(({ kind }) => kind)).toEqual(['restore', 'item']);
    const seen: number[] = [];
    const done = new Promise<void>((resolve, reject) => {
      recordsOf(log, long).subscribe({
        next: (element) => {
          if (!isItem(element)) return;
          seen.push(element.source.window.inFlightBytes);
          setImmediate(() => element.source.window.give(element.bytes));
        },
        error: reject,
        complete: resolve,
      });
    });
    await done;
    expect(seen).toHaveLength(8);
    expect(Math.max(...seen)).toBeLessThanOrEqual(1024 * 1024 + 400_000);
  });

  test('fails as the log does', async () => {
    const log = await logWith([1]);
    const gone = recordsOf(log, [{ topic: 'gone', partition: 0, from: 0, to: 5 }]);
    await expect(lastValueFrom(gone.pipe(toArray()))).rejects.toThrow('no topic gone');
  });
});

describe('pastBatches', () => {
  const holdout = '    - { uid: apart, holdout: { share: 0.5 } }\n    - { uid: decode';
  const [, steps = []] =
    trainingStream(graphOf(jobGraph({ name: 'past', partitions: 2 }).replace('    - { uid: decode', holdout))) ?? [];

  async function batches(log: MemoryLog, spans: readonly Span[], count: number): Promise<[TokenBatch[], number[]]> {
    const epochs: number[] = [];
    const taken: TokenBatch[] = [];
    const all = pastBatches({
      log,
      spans,
      steps,
      tokenizer: byteTokenizer,
      formats: { of: () => plainFormat },
      batch: { rows: 2, context: 16 },
      jobId: 'j',
      onEpoch: (read) => void epochs.push(read),
    });
    for await (const batch of all) {
      taken.push(batch);
      if (taken.length === count) break;
    }
    return [taken, epochs];
  }

  test('are of the text that the stream trains on, alike each time, and begin anew at its end', async () => {
    const log = await logWith([40, 30]);
    const spans = [span(0, 0, 40), span(1, 0, 30)];
    const [taken, epochs] = await batches(log, spans, 60);
    expect(taken.every(({ rows, context, ids }) => rows === 2 && context === 16 && ids.length === 32)).toBe(true);
    const perEpoch = taken.findIndex(({ ids }, at) => at > 0 && ids.join() === taken[0]?.ids.join());
    expect(perEpoch).toBeGreaterThan(5);
    expect(epochs).toEqual(Array.from({ length: Math.floor(59 / perEpoch) }, (_, at) => at + 1));
    expect(taken[perEpoch + 1]).toEqual(taken[1]);
    expect((await batches(log, spans, 60))[0]).toEqual(taken);
    // About half of the records are held out, and what is left has none of them.
    const text = Buffer.from(
      taken.slice(0, perEpoch).flatMap(({ targets }) => Array.from(targets).filter((id) => id < 256)),
    );
    const records = text.toString().match(/record \d:\d+\. /g) ?? [];
    expect(new Set(records).size).toBe(records.length);
    expect(records.length).toBeGreaterThan(15);
    expect(records.length).toBeLessThan(55);
  });

  test('of too little text there are none', async () => {
    const log = await logWith([1, 1]);
    await expect(batches(log, [span(0, 0, 1)], 1)).rejects.toThrow('fills no batch');
  });
});
