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
import type { TopicLog } from './ports.ts';
import { PUBLISHER, SEQUENCE, lastSequence } from './published.ts';
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

const int = z.number().int();

const stateSchema = z.object({
  published: int,
  /** Where the topic's partitions ended at the cut: what was published behind it lies behind these. */
  ends: z.array(z.object({ topic: z.string(), partition: int, offset: int })).default([]),
});

const NOTHING: z.output<typeof stateSchema> = { published: 0, ends: [] };

/**
 * Produces a record for each value, and passes the value on once the log has it.
 *
 * Exactly once: every record carries its number. After a restart the numbers go on from the cut, and records that the
 * topic already has are not produced again. This holds where the stream repeats itself after a restart (training does),
 * also when others write to the topic, save that before the first cut only so much is searched as they write in a while.
 * Until those are behind it, the source is kept from handing over to another graph, which would say something else.
 * Where the restore mark says that what followed the cut was undone, values are produced anew, under a name of their own.
 * Order: kept. Backpressure: a value keeps its bytes until the log has its record. Errors: the log's end the flow.
 * Snapshot: how many records were published, and where the topic ended.
 */
export function publish<T>(options: PublishOptions<T>): OperatorFunction<Element<T>, Element<T>> {
  const { uid, log, topic, toRecord, publisher = uid, exactlyOnce = true } = options;
  return (flow) =>
    defer(() => {
      let published = 0;
      let alreadyThere = 0;
      let { ends } = NOTHING;
      let name = publisher;
      let repeated: (() => void) | null = null;

      const send = async (element: Element<T>, record: NewRecord): Promise<readonly Element<T>[]> => {
        published += 1;
        if (published > alreadyThere) {
          const headers = { ...record.headers, [SEQUENCE]: String(published), [PUBLISHER]: name };
          await log.produce(topic, [{ ...record, headers }]);
        }
        if (published === alreadyThere) repeated?.();
        return [element];
      };

      return flow.pipe(
        inOrder<T, T>(async (element) => {
          if (isItem(element)) return send(element, await toRecord(element.value));
          if (element.kind === 'restore') {
            const snapshot = element.states.get(uid);
            const state = snapshot ? readState(uid, () => stateSchema.parse(snapshot.state)) : NOTHING;
            ({ published, ends } = state);
            name = element.timeline === 0 ? publisher : `${publisher}~${element.timeline}`;
            alreadyThere = exactlyOnce ? await lastSequence(log, topic, name, ofTopic(ends, topic)) : 0;
            if (published < alreadyThere) repeated = element.source.holdDeploy();
          }
          if (element.kind === 'barrier') {
            // While what is already there is repeated, it lies behind where the topic ended before.
            if (exactlyOnce && published >= alreadyThere) ends = await endsOf(log, topic);
            element.basket.set(uid, { state: { published, ends: ends.map((each) => ({ ...each })) } });
          }
          return [element];
        }),
      );
    });
}

/** A graph may have had it write elsewhere before. */
function ofTopic(ends: (typeof NOTHING)['ends'], topic: string): (typeof NOTHING)['ends'] {
  return ends.filter((end) => end.topic === topic);
}

async function endsOf(log: TopicLog, topic: string): Promise<(typeof NOTHING)['ends']> {
  return (await log.offsets(topic)).map(({ partition, end }) => ({ topic, partition, offset: end }));
}

/**
 * A report as a record in the format of its topic: answers under the prompt's id, so that one answer's deltas stay together.
 * In a topic of format text an answer's delta is its bare text.
 */
export async function reportRecord(report: Report, format: TopicFormat = plainFormat): Promise<NewRecord> {
  const isBare = format.name === 'text' && report.event === 'generation';
  const value = await format.write(isBare ? report.text : { ...report });
  return { key: report.event === 'generation' ? report.id : report.event, value };
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
