import { z } from 'zod';
import type { Position, TopicLog } from '../../operators/index.ts';
import type { Graph } from '../spec/graph.ts';

const fromSchema = z.object({ from: z.string().optional() });

/**
 * Where the topics end now that a graph reads from `latest`. Asked before anything says that the job runs: what comes from
 * then on is read, however long the processes take to start.
 */
export async function topicEnds(log: TopicLog, { streams }: Pick<Graph, 'streams'>): Promise<readonly Position[]> {
  const sources = Object.values(streams).flatMap((steps) => steps.filter(({ kind }) => kind.input === 'topics'));
  const latest = sources.filter(({ config }) => fromSchema.safeParse(config).data?.from === 'latest');
  const topics = new Set(latest.flatMap(({ kind, config }) => kind.topicsOf(config)));
  const offsets = await Promise.all([...topics].map((topic) => log.offsets(topic)));
  return offsets.flat().map(({ topic, partition, end }) => ({ topic, partition, offset: end }));
}
