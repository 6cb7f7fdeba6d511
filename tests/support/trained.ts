import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import { openCheckpointStore } from '../../infra/index.ts';
import type { LogRecord, TopicLog } from '../../operators/index.ts';
import { currentJob, dataFolder } from '../../pipelines/job/job-folder.ts';
import { readTopic } from './read-topic.ts';

const stepSchema = z.looseObject({
  step: z.number(),
  loss: z.number(),
  spans: z.array(z.object({ topic: z.string(), partition: z.number(), from: z.number(), to: z.number() })),
});
type Step = z.output<typeof stepSchema>;

/** What a job has done. Of two jobs that trained on the same alike, these are equal. */
export interface Trained {
  /** Loss, gradient, totals and provenance of each step: all that it reports but nothing of when it ran. */
  readonly curve: readonly object[];
  /** Names of the records that were trained on, sorted. */
  readonly records: readonly string[];
  /** Checksum of the newest checkpoint's weights. */
  readonly weights: string;
}

/** Reads what a job has published and saved; fails when a step is missing or twice there, or a record was trained twice. */
export async function readTrained(log: TopicLog, dataDir: string, metrics: string = 'metrics'): Promise<Trained> {
  const published = await readTopic(log, metrics);
  const steps = published.map(({ value }) => stepSchema.parse(JSON.parse(Buffer.from(value ?? []).toString())));
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, index) => index + 1));
  return { curve: steps.map(curveOf), records: recordsIn(steps), weights: await weightsHash(dataDir) };
}

/** As in `Trained.records`. */
export function namesOf(records: readonly Pick<LogRecord, 'topic' | 'partition' | 'offset'>[]): readonly string[] {
  return records.map(({ topic, partition, offset }) => `${topic}/${partition}/${offset}`).toSorted();
}

function curveOf({ step, loss, spans, ...rest }: Step): object {
  return { step, loss, spans, gradNorm: rest['gradNorm'], totals: rest['totals'] };
}

/** Records that stand in the spans, each once however many steps it took. */
function recordsIn(steps: readonly Step[]): readonly string[] {
  const seen = new Map<string, { readonly topic: string; readonly partition: number; readonly offset: number }>();
  const last = new Map<string, number>();
  for (const { topic, partition, from, to } of steps.flatMap(({ spans }) => spans)) {
    const name = `${topic}/${partition}`;
    // A long document goes on in the next step; nothing else may stand twice.
    expect(from).toBeGreaterThanOrEqual((last.get(name) ?? 0) - 1);
    last.set(name, to);
    for (let offset = from; offset < to; offset++) seen.set(`${name}/${offset}`, { topic, partition, offset });
  }
  return namesOf([...seen.values()]);
}

async function weightsHash(dataDir: string): Promise<string> {
  const job = currentJob(dataFolder(dataDir));
  const logger = { info: () => {}, warn: () => {} };
  const store = await openCheckpointStore(job?.checkpoints ?? '', { jobId: job?.id ?? '', logger, describe: {} });
  const newest = await store.latest();
  return createHash('sha256')
    .update(await readFile(join(newest?.path ?? '', 'weights.safetensors')))
    .digest('hex');
}
