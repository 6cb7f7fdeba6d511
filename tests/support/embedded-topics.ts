import { z } from 'zod';
import { openEmbeddedLog } from '../../infra/index.ts';
import type { LogRecord } from '../../operators/index.ts';
import { dataFolder } from '../../pipelines/job/job-folder.ts';
import { counting } from './counting.ts';
import { readTopic } from './read-topic.ts';

/* Topics of a data folder's own log, written and read beside whatever runs on the folder. */

export async function fillTopic(
  dataDir: string,
  topic: string,
  values: readonly (Uint8Array | string | null)[],
): Promise<void> {
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  await log.createTopic(topic);
  const records = values.map((value) => ({ value }));
  await log.produce(topic, records);
  await log.close();
}

/** All records that a topic has now; none where it is not there. */
export async function recordsOf(dataDir: string, topic: string): Promise<LogRecord[]> {
  const log = await openEmbeddedLog(dataFolder(dataDir).log);
  try {
    const isThere = (await log.topics()).some(({ name }) => name === topic);
    return isThere ? await readTopic(log, topic) : [];
  } finally {
    await log.close();
  }
}

/** What a job has published of a step. */
export interface MetricsStep {
  readonly step: number;
  readonly loss: number;
  readonly lr: number;
  readonly gradNorm: number;
  readonly tokens: number;
  readonly skipped: boolean;
  readonly totals: { readonly tokens: number; readonly bytes: number; readonly bits: number };
  readonly spans: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly from: number;
    readonly to: number;
  }[];
}

const stepSchema: z.ZodType<MetricsStep> = z.object({
  step: z.number(),
  loss: z.number(),
  lr: z.number(),
  gradNorm: z.number(),
  tokens: z.number(),
  skipped: z.boolean(),
  totals: z.object({ tokens: z.number(), bytes: z.number(), bits: z.number() }),
  spans: z.array(z.object({ topic: z.string(), partition: z.number(), from: z.number(), to: z.number() })),
});

/** The steps in topic `metrics`. */
export async function metricsOf(dataDir: string): Promise<MetricsStep[]> {
  return (await recordsOf(dataDir, 'metrics')).map(stepIn);
}

/** Those that count, of a job that may have gone back. */
export async function countingMetricsOf(dataDir: string): Promise<MetricsStep[]> {
  return counting(await recordsOf(dataDir, 'metrics')).map(stepIn);
}

function stepIn({ value }: LogRecord): MetricsStep {
  return stepSchema.parse(JSON.parse(Buffer.from(value ?? []).toString()));
}
