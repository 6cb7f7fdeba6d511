import { expect } from 'vitest';
import { z } from 'zod';
import { logLedger, openCheckpointStore } from '../../infra/index.ts';
import type { LedgerPlace, TopicLog } from '../../operators/index.ts';
import { ingestStateIn } from '../../operators/ingest-state.ts';
import { standingFrom } from '../../operators/standing.ts';
import { trainStateSchema } from '../../operators/train-state.ts';
import { currentJob, dataFolder } from '../../pipelines/job/job-folder.ts';
import { readTopic } from './read-topic.ts';

const stepSchema = z.object({
  step: z.number(),
  spans: z.array(z.object({ partition: z.number(), from: z.number(), to: z.number() })),
});

/** What one job of a group has done, by its newest checkpoint, which is the one that counts. */
export interface Share {
  /** Records that its ledger says were read, and records that its steps say were trained on, as `partition/offset`. */
  readonly read: readonly string[];
  readonly trained: readonly string[];
  /** Of the texts that its weights have seen. */
  readonly bytes: number;
}

/** Reads the share of a job that has made a last cut, which the group must know of. */
export async function readShare(log: TopicLog, dataDir: string, group: string): Promise<Share> {
  const job = currentJob(dataFolder(dataDir));
  if (!job) throw new Error(`No job in ${dataDir}.`);
  const logger = { info: () => {}, warn: () => {} };
  const store = await openCheckpointStore(job.checkpoints, { jobId: job.id, logger, describe: {} });
  const newest = await store.latest();
  const [ingested, trained] = [newest?.states.get('text'), newest?.states.get('train')];
  if (!ingested || !trained) throw new Error(`No checkpoint of ${dataDir}.`);
  const state = ingestStateIn('text', ingested);
  const ledgerTopic = `ledger-${job.id}-learn`;
  const [committed] = await log.committed(group, ledgerTopic);
  expect(committed).toMatchObject({
    offset: state.ledger,
    metadata: JSON.stringify({ job: job.id, played: state.played }),
  });
  const { step, totals, waiting } = trainStateSchema.parse(trained.state);
  expect(waiting).toHaveLength(0);
  const entries = await logLedger(log, ledgerTopic).read(0);
  return {
    read: recordsBefore({ entry: state.ledger, played: state.played }, entries),
    trained: await recordsOf(log, `${job.id}/metrics`, step),
    bytes: totals.bytes,
  };
}

function recordsBefore(place: LedgerPlace, entries: Parameters<typeof standingFrom>[1]): readonly string[] {
  const standing = standingFrom({ entry: 0, played: 0 }, entries).entries;
  return standing.slice(0, place.entry + 1).flatMap((entry, index) => {
    if (entry?.kind !== 'run') return [];
    const count = index === place.entry ? Math.min(place.played, entry.count) : entry.count;
    return Array.from({ length: count }, (_, at) => `${entry.partition}/${entry.from + at}`);
  });
}

/** Of a step that was undone and done anew, the last report counts. */
async function recordsOf(log: TopicLog, publisher: string, lastStep: number): Promise<readonly string[]> {
  const steps = new Map<number, z.output<typeof stepSchema>>();
  for (const { headers, value } of await readTopic(log, 'metrics')) {
    if (headers['millrace-publisher']?.split('~')[0] !== publisher) continue;
    const step = stepSchema.parse(JSON.parse(Buffer.from(value ?? []).toString()));
    if (step.step <= lastStep) steps.set(step.step, step);
  }
  expect([...steps.keys()].toSorted((a, b) => a - b)).toEqual(Array.from({ length: lastStep }, (_, at) => at + 1));
  const records = [...steps.values()]
    .flatMap(({ spans }) => spans)
    .flatMap(({ partition, from, to }) => Array.from({ length: to - from }, (_, at) => `${partition}/${from + at}`));
  // A long document goes on in the next step.
  return [...new Set(records)];
}
