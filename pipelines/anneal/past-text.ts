import { Observable } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import type { Element, Flow, Source } from '../../operators/flow.ts';
import type { LogReader, TopicLog, Watermark } from '../../operators/ports.ts';
import type { LogRecord, Span } from '../../operators/types.ts';
import { Window } from '../../operators/window.ts';

/** Records of a partition that are read before the next one's turn. */
const TURN_RECORDS = 64;
const WINDOW_BYTES = 1024 * 1024;

/**
 * The newest of what weights have seen of topics: of each partition the last `share` of all offsets up to the watermark, as far
 * as retention has left them. Rejects with `bad-usage` where nothing is left.
 */
export async function newestSeen(
  log: TopicLog,
  topics: readonly string[],
  watermark: Watermark,
  share: number,
): Promise<readonly Span[]> {
  const spans: Span[] = [];
  for (const topic of topics) {
    for (const { partition, start } of await log.offsets(topic)) {
      const to = watermark[`${topic}/${partition}`] ?? 0;
      const from = Math.max(start, to - Math.ceil(share * to));
      if (from < to) spans.push({ topic, partition, from, to });
    }
  }
  if (spans.length > 0) return spans;
  throw new MillraceError(
    'bad-usage',
    `Nothing is left in ${topics.join(', ')} of what this checkpoint has learnt, so there is no text to anneal on. Name a newer one.`,
  );
}

/**
 * Emits the records of spans, once, as a flow that completes. Consumes nothing: no offset is remembered anywhere. Order: by
 * offset within a partition, and partitions take turns by a number of records, so that it depends on nothing but the log.
 * Backpressure: a window of a megabyte. Errors: the log's.
 */
export function recordsOf(log: TopicLog, spans: readonly Span[]): Flow<LogRecord> {
  return new Observable<Element<LogRecord>>((subscriber) => {
    const source: Source = {
      window: new Window(WINDOW_BYTES),
      requestCut: () => {},
      holdDeploy: () => () => {},
      cutCommitted: async () => {},
      requestSpareTick: () => {},
      reads: () => [],
    };
    const reader = log.reader(spans.map(({ topic, partition, from }) => ({ topic, partition, offset: from })));
    const emitAll = async (): Promise<void> => {
      try {
        subscriber.next({ kind: 'restore', states: new Map(), timeline: 0, source });
        for await (const record of inTurn(reader, spans)) {
          await source.window.opened();
          if (subscriber.closed) return;
          const bytes = (record.value?.byteLength ?? 0) + (record.key?.byteLength ?? 0);
          source.window.take(bytes);
          subscriber.next({ kind: 'item', value: record, bytes, source });
        }
      } finally {
        await reader.close();
      }
      subscriber.complete();
    };
    emitAll().catch((error: unknown) => subscriber.error(error));
  });
}

async function* inTurn(reader: LogReader, spans: readonly Span[]): AsyncGenerator<LogRecord> {
  for (let open = spans; open.length > 0;) {
    const left: Span[] = [];
    for (const span of open) {
      const records = await reader.poll({ partition: span, maxRecords: TURN_RECORDS, waitMs: 0 });
      yield* records.filter(({ offset }) => offset < span.to);
      const last = records.at(-1);
      if (last && last.offset + 1 < span.to) left.push(span);
    }
    open = left;
  }
}
