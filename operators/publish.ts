import { defer } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { z } from 'zod';
import type { Element, Uid } from './flow.ts';
import { isItem } from './flow.ts';
import { plainFormat } from './formats.ts';
import type { TopicFormat } from './formats.ts';
import { inOrder } from './in-order.ts';
import { defineKind } from './kind.ts';
import type { OperatorKind } from './kind.ts';
import { NumberedRecords, numberedStateSchema } from './numbered-records.ts';
import type { TopicLog } from './ports.ts';
import { readState } from './stateful.ts';
import type { NewRecord, Report } from './types.ts';

export interface PublishOptions<T> {
  readonly uid: Uid;
  /** Name that the records carry of who wrote them; the uid if absent. */
  readonly publisher?: string;
  readonly log: TopicLog;
  readonly topic: string;
  readonly toRecord: (value: T) => NewRecord | Promise<NewRecord>;
  /** False where the stream can't be repeated, as answers on their way can't: each value is then produced at least once. */
  readonly exactlyOnce?: boolean;
}

/**
 * Produces a record for each value, and passes the value on once the log has it.
 *
 * Exactly once, as `NumberedRecords` has it, where the stream repeats itself after a restart (training does).
 * Order: kept. Backpressure: a value keeps its bytes until the log has its record. Errors: the log's end the flow.
 * Snapshot: how many records were published, and where the topic ended.
 */
export function publish<T>(options: PublishOptions<T>): OperatorFunction<Element<T>, Element<T>> {
  const { uid, log, topic, toRecord, publisher = uid, exactlyOnce = true } = options;
  return (flow) =>
    defer(() => {
      const records = new NumberedRecords({ log, topic, publisher, exactlyOnce });
      return flow.pipe(
        inOrder<T, T>(async (element) => {
          if (isItem(element)) await records.send([await toRecord(element.value)]);
          if (element.kind === 'restore') {
            const snapshot = element.states.get(uid);
            const state = snapshot && readState(uid, () => numberedStateSchema.parse(snapshot.state));
            await records.restore(state ?? null, element);
          }
          if (element.kind === 'barrier') element.basket.set(uid, { state: await records.snapshot() });
          return [element];
        }),
      );
    });
}

/**
 * A report as a record in the format of its topic: answers under the prompt's id, so that one answer's deltas stay together.
 * In a topic of format text an answer's delta is its bare text.
 */
export async function reportRecord(report: Report, format: TopicFormat = plainFormat): Promise<NewRecord> {
  const isBare = format.name === 'text' && report.event === 'generation';
  const value = await format.write(isBare ? report.text : published(report));
  return { key: report.event === 'generation' ? report.id : report.event, value };
}

/** What each target was like is for operators, and too much for a topic. */
function published(report: Report): Readonly<Record<string, unknown>> {
  if (report.event !== 'step') return { ...report };
  const { exam: _exam, ...told } = report;
  return told;
}

export const publishKind: OperatorKind = defineKind({
  kind: 'publish',
  summary: 'Produces each report to a topic, as JSON unless the topic has another format, and passes it on.',
  input: 'any',
  output: 'any',
  state: 'how many records it has published',
  config: z.strictObject({
    topic: z.string().describe('Topic to write to.'),
    exactlyOnce: z
      .boolean()
      .default(true)
      .describe('False for what does not repeat itself after a restart, as answers on their way do not.'),
  }),
  topicsOf: ({ topic }) => [topic],
  // Where a topic ended says nothing in another log.
  forked: (_uid, snapshot, keepsOffsets) => (keepsOffsets ? snapshot : null),
  build: (uid, config, { log, jobId, lineage, formats }) => {
    const publisher = lineage === 0 ? `${jobId}/${uid}` : `${jobId}/${uid}@${lineage}`;
    const toRecord: PublishOptions<Report>['toRecord'] = (report) => reportRecord(report, formats.of(config.topic));
    return publish<Report>({ uid, ...config, publisher, log, toRecord });
  },
});
