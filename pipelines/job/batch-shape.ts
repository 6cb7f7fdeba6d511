import { z } from 'zod';
import type { StepInput } from '../../model/types.ts';
import type { Trainer } from '../../operators/ports.ts';
import type { Graph } from '../spec/graph.ts';
import { batchShapeOf } from '../spec/preset-of.ts';
import { trainingStream } from '../spec/streams.ts';

/** A batch's shape, which a step is compiled for. */
export interface BatchShape {
  readonly rows: number;
  readonly context: number;
  readonly isolate: boolean;
}

const shapeSchema = z.object({ rows: z.int().optional(), context: z.int().optional(), isolate: z.boolean() });

/** Shape of the batches that a graph trains on. */
export function shapeOf(graph: Graph): BatchShape {
  const usual = batchShapeOf(graph.model);
  const [, steps = []] = trainingStream(graph) ?? [];
  const batch = steps.find(({ kind }) => kind.kind === 'batch');
  const {
    rows = usual.rows,
    context = usual.context,
    isolate,
  } = shapeSchema.parse(batch?.config ?? { isolate: false });
  return { rows, context, isolate };
}

/** Lets a trainer compile its step for some shapes. What that trains is thrown away by the restore that is to follow. */
export async function warmUp(trainer: Trainer, shapes: readonly BatchShape[]): Promise<void> {
  await trainer.restore(null);
  for (const shape of shapes) await trainer.step(emptyBatch(shape));
}

function emptyBatch({ rows, context, isolate }: BatchShape): StepInput {
  const size = rows * context;
  return {
    rows,
    context,
    ids: new Int32Array(size),
    targets: new Int32Array(size),
    lossMask: new Float32Array(size).fill(1),
    ...(isolate ? { segments: new Int32Array(size) } : {}),
  };
}
