import { z } from 'zod';
import { MillraceError } from '../../../operators/errors.ts';
import type { Json } from '../../../operators/types.ts';
import { partialBarsSchema } from '../../spec/deploy.ts';
import type { Bars } from '../../spec/deploy.ts';
import type { Graph } from '../../spec/graph.ts';
import { trainingStream } from '../../spec/streams.ts';
import { isHandedOver } from '../plan.ts';
import type { Plan } from '../plan.ts';

/** What a shadow is asked for with. */
export interface ShadowRequest {
  /** As `graphDocument` gives it. */
  readonly graph: Json;
  readonly discard: readonly string[];
  /** Of the running graph. */
  readonly steps: number;
  /** Go before those of the graph. */
  readonly bars?: Partial<Bars> | undefined;
}

export const shadowRequestSchema: z.ZodType<ShadowRequest> = z.strictObject({
  graph: z.json(),
  discard: z.array(z.string()),
  steps: z.int().positive(),
  bars: partialBarsSchema.optional(),
});

/** Throws `bad-usage` where two graphs would not train on the same records, or where both train alike. */
export function requireComparable(plan: Plan, graph: Graph): void {
  const [stream = ''] = trainingStream(graph) ?? [];
  if (!isHandedOver(plan, stream)) {
    throw new MillraceError('bad-usage', 'The graph trains as the running one does. Deploy it without --shadow.');
  }
  const source = plan.operators.find(
    (row) => row.stream === stream && row.kind === 'ingest' && row.action !== 'removed',
  );
  if (source?.action === 'kept' || source?.action === 'reconfigured') return;
  throw new MillraceError(
    'bad-usage',
    'Its source reads other topics than the running one, so the two have no records in common. Deploy it with --watch.',
  );
}

const TELL_EVERY_MS = 1000;

/** Tells not every step, but one a second, and the first. */
export function atMostOften(tell: (progress: Json) => void): (progress: Json) => void {
  let toldAtMs = -Infinity;
  return (progress) => {
    if (performance.now() - toldAtMs < TELL_EVERY_MS) return;
    toldAtMs = performance.now();
    tell(progress);
  };
}
