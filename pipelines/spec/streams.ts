import { z } from 'zod';
import type { Graph, Step } from './graph.ts';

export function has(steps: readonly Step[], kindName: string): boolean {
  return steps.some(({ kind }) => kind.kind === kindName);
}

/** Name and steps of the stream that trains, of which a graph has one at most. */
export function trainingStream({ streams }: Pick<Graph, 'streams'>): readonly [string, readonly Step[]] | undefined {
  return Object.entries(streams).find(([, steps]) => has(steps, 'trainStep'));
}

const holdoutSchema = z.object({ share: z.number() });

/** Share of a topic's records that is never trained on: all of them where nothing trains on the topic. */
export function heldOutShare(graph: Pick<Graph, 'streams'>, topic: string): number {
  const [, steps = []] = trainingStream(graph) ?? [];
  const isTrained = steps.some(({ kind, config }) => kind.input === 'topics' && kind.topicsOf(config).includes(topic));
  if (!isTrained) return 1;
  const holdout = steps.find(({ kind }) => kind.kind === 'holdout');
  return holdout ? holdoutSchema.parse(holdout.config).share : 0;
}
